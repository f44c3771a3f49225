"""Workflow JSON, as the page saves it, converted to the API format that /prompt takes."""

from collections.abc import Iterator
from typing import Any

NOT_EXECUTED = ("Note", "MarkdownNote")
MUTED, BYPASSED = 2, 4  # values of a node's mode
INPUT_NODE, OUTPUT_NODE = -10, -20  # the two ends of a subgraph
SEEDS = ("seed", "noise_seed")  # the page puts a control behind inputs of these names unless told not to
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def to_api(workflow: dict, object_info: dict) -> dict:
    """API-format prompt of a workflow; a node in a subgraph has the ids of both, as `17:3`. Raises ValueError for
    what it cannot convert."""
    definitions = {graph["id"]: graph for graph in workflow.get("definitions", {}).get("subgraphs", [])}
    prompt = {}
    for level, node in _Level("", workflow, {}, definitions).executed():
        if node.get("mode", 0) == BYPASSED:
            raise ValueError(f"node {node['id']} ({node['type']}) is bypassed: un-bypass it or delete it")
        if node["type"] not in object_info:
            raise ValueError(f"the server has no node {node['type']!r}: install its pack, or update ComfyUI")
        prompt[f"{level.prefix}{node['id']}"] = {
            "class_type": node["type"],
            "inputs": _widget_values(node, object_info[node["type"]]) | level.given(node),
            "_meta": {"title": node.get("title", node["type"])},
        }
    return prompt


class _Level:
    """A graph or subgraph. face: what each of the subgraph's inputs is given, a wire [id, slot] or a value."""

    def __init__(self, prefix: str, graph: dict, face: dict[int, Any], definitions: dict[str, dict]) -> None:
        self.prefix, self.face, self.nodes = prefix, face, graph["nodes"]
        fields = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        links = [link if isinstance(link, dict) else dict(zip(fields, link, strict=False)) for link in graph["links"]]
        self.origins = {link["id"]: (link["origin_id"], link["origin_slot"]) for link in links}
        self.results = {
            link["target_slot"]: (link["origin_id"], link["origin_slot"])
            for link in links
            if link["target_id"] == OUTPUT_NODE
        }
        self.inner: dict[int, _Level] = {}
        self.definitions = definitions

    def executed(self) -> Iterator[tuple["_Level", dict]]:
        """The nodes that run, each with the level it is on."""
        for node in self.nodes:
            if node["type"] in NOT_EXECUTED or node.get("mode", 0) == MUTED:
                continue
            if node["type"] in self.definitions:
                yield from self._inside(node).executed()
            else:
                yield self, node

    def given(self, node: dict) -> dict[str, Any]:
        """What is wired into a node, by input."""
        wired = {i["name"]: self.origins[i["link"]] for i in node.get("inputs", []) if i.get("link") is not None}
        values = {name: self._resolve(*origin) for name, origin in wired.items()}
        return {name: value for name, value in values.items() if value is not None}

    def _resolve(self, origin: int, slot: int) -> Any:
        if origin == INPUT_NODE:
            return self.face.get(slot)
        for node in self.nodes:
            if node["id"] == origin and node["type"] in self.definitions:
                inside = self._inside(node)
                return inside._resolve(*inside.results[slot])
        return [f"{self.prefix}{origin}", slot]

    def _inside(self, node: dict) -> "_Level":
        if node["id"] not in self.inner:
            settings = [i["name"] for i in node.get("inputs", []) if i.get("widget")]
            face = dict(zip(settings, node.get("widgets_values") or [], strict=False)) | self.given(node)
            by_slot = {slot: face.get(i["name"]) for slot, i in enumerate(node.get("inputs", []))}
            prefix = f"{self.prefix}{node['id']}:"
            self.inner[node["id"]] = _Level(prefix, self.definitions[node["type"]], by_slot, self.definitions)
        return self.inner[node["id"]]


def _widget_values(node: dict, info: dict) -> dict[str, Any]:
    """Widget values by input name. The page saves them as a list in the order of the inputs."""
    values = iter(node.get("widgets_values") or [])
    named = {}
    for group in ("required", "optional"):
        for name, spec in info["input"].get(group, {}).items():
            options = spec[1] if len(spec) > 1 else {}
            if not (isinstance(spec[0], list) or spec[0] in WIDGET_TYPES) or options.get("forceInput"):
                continue
            named[name] = next(values, options.get("default"))
            if options.get("control_after_generate", name in SEEDS):
                next(values, None)  # "fixed", "randomize", ...: for the page only
            if options.get("image_upload"):
                next(values, None)
    return named


def set_inputs(prompt: dict, class_type: str, **inputs: Any) -> None:
    """Sets inputs of every node of a class in an API-format prompt. Raises ValueError when there is none."""
    nodes = [node for node in prompt.values() if node["class_type"] == class_type]
    if not nodes:
        raise ValueError(f"the workflow has no {class_type} node")
    for node in nodes:
        node["inputs"].update(inputs)
