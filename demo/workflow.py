"""Workflow JSON, as the page saves it, converted to the API format that /prompt takes."""

from typing import Any

NOT_EXECUTED = ("Note", "MarkdownNote")
MUTED, BYPASSED = 2, 4  # values of a node's mode
SEEDS = ("seed", "noise_seed")  # the page puts a control behind inputs of these names unless told not to
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def to_api(workflow: dict, object_info: dict) -> dict:
    """API-format prompt of a workflow without subgraphs. Raises ValueError for what it cannot convert."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOT_EXECUTED or node.get("mode", 0) == MUTED:
            continue
        if node.get("mode", 0) == BYPASSED:
            raise ValueError(f"node {node['id']} ({node['type']}) is bypassed: un-bypass it or delete it")
        if node["type"] not in object_info:
            raise ValueError(f"the server has no node {node['type']!r}: install its pack, or update ComfyUI")
        inputs = _widget_values(node, object_info[node["type"]])
        wired = {i["name"]: links[i["link"]] for i in node.get("inputs", []) if i.get("link") is not None}
        prompt[str(node["id"])] = {
            "class_type": node["type"],
            "inputs": inputs | wired,
            "_meta": {"title": node.get("title", node["type"])},
        }
    return prompt


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
