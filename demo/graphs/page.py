"""A described graph as the page saves one: positions, sizes, wires, and blueprints as subgraphs."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from .graph import INPUT_NODE, OUTPUT_NODE, Face, Graph, Node, Output

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
SEEDS = ("seed", "noise_seed")  # the page puts a control behind settings of these names unless told not to
CLASSIC = {"workflowRendererVersion": "LG"}  # whose sizes these are: Nodes 2.0 stretches them by itself
COLOURS = (
    ("#2a363b", "#3f5159"),
    ("#233", "#355"),
    ("#223", "#335"),
    ("#232", "#353"),
    ("#323", "#535"),
    ("#322", "#533"),
)
HOST, PACK = {"cnr_id": "comfy-core", "ver": "0.3.75"}, {"cnr_id": "lime-edit", "ver": "0.1.0"}  # as in pyproject.toml

GAP = 54  # pixels of the canvas; a node's title stands above it, with the name of its pack
HEAD, SLOT, SETTING, TEXT = 16, 22, 28, 80  # heights of a node's parts
BOXED = {"LIMEPasteBack", "LIMEDemoModel"}  # web/lime.js gives them a box


def blueprint(graph: Graph) -> dict[str, Any]:
    """The file of a Subgraph Blueprint: one node that stands for the graph."""
    outer = Graph(graph.name, graph.node_info)
    with outer.column(width=400):
        outer.use(graph)
    extra = {"BlueprintDescription": graph.description, "BlueprintSearchAliases": graph.aliases}
    return workflow(outer) | {"extra": CLASSIC | extra}


def workflow(graph: Graph) -> dict[str, Any]:
    """Workflow JSON, version 0.4, of a graph and of the blueprints in it."""
    nodes, links = _contents(graph)
    saved = {
        "id": _uuid(graph.name),
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": [list(link.values()) for link in links],
        "groups": [],
        "config": {},
        "extra": CLASSIC,
        "version": 0.4,
    }
    if graph.blueprints:
        saved["definitions"] = {"subgraphs": [_subgraph(inner) for inner in graph.blueprints.values()]}
    return saved


def _subgraph(graph: Graph) -> dict[str, Any]:
    nodes, links = _contents(graph)
    last = max(node["id"] for node in nodes)
    right = max(node["pos"][0] + node["size"][0] for node in nodes) + 100
    return {
        "id": _uuid(f"blueprint {graph.name}"),
        "version": 1,
        "state": {
            "lastGroupId": 0,
            "lastNodeId": last,
            "lastLinkId": len(links),
            "lastRerouteId": 0,
        },
        "revision": 0,
        "config": {},
        "name": graph.name,
        "description": graph.description,
        "category": "LIME",
        "inputNode": {"id": INPUT_NODE, "bounding": [-260, 0, 160, 40 + 20 * len(graph.faces)]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [right, 0, 120, 40 + 20 * len(graph.results)]},
        "inputs": [
            _end(graph, face.name, face.type, _ids(links, "origin", INPUT_NODE, slot), slot, -120)
            for slot, face in enumerate(graph.faces)
        ],
        "outputs": [
            _end(graph, name, _type(graph, output), _ids(links, "target", OUTPUT_NODE, slot), slot, right + 20)
            for slot, (name, output) in enumerate(graph.results.items())
        ],
        "widgets": [],
        "nodes": nodes,
        "groups": [],
        "links": links,
        "extra": CLASSIC,
    }


def _ids(links: list[dict], side: str, node: int, slot: int) -> list[int]:
    """The links at one slot of a node: those that have it as their "origin" or "target"."""
    return [link["id"] for link in links if (link[f"{side}_id"], link[f"{side}_slot"]) == (node, slot)]


def _end(graph: Graph, name: str, kind: str, links: list[int], slot: int, x: int) -> dict[str, Any]:
    """An input or output of a subgraph."""
    identity = _uuid(f"{graph.name} {'input' if x < 0 else 'output'} {name}")
    return {"id": identity, "name": name, "type": kind, "linkIds": links, "pos": [x, 20 + 20 * slot]}


def _contents(graph: Graph) -> tuple[list[dict], list[dict]]:
    """(nodes, links) as they are saved. A link is in the order of its fields, for the root graph's lists."""
    links: list[dict] = []
    slots = {node.id: _slots(graph, node) for node in graph.nodes}
    for node in graph.nodes:
        for target_slot, (name, kind) in enumerate(slots[node.id]):
            origin = node.inputs.get(name)
            if isinstance(origin, Output):
                links.append(_link(len(links) + 1, origin, node.id, target_slot, kind))
    for slot, output in enumerate(graph.results.values()):
        links.append(_link(len(links) + 1, output, OUTPUT_NODE, slot, _type(graph, output)))
    places = _layout(graph)
    return [_node(graph, node, slots[node.id], links, places[node.id]) for node in graph.nodes], links


def _link(number: int, origin: Output, target: int, target_slot: int, kind: str) -> dict[str, Any]:
    return {
        "id": number,
        "origin_id": origin.node,
        "origin_slot": origin.slot,
        "target_id": target,
        "target_slot": target_slot,
        "type": kind,
    }


def _node(graph: Graph, node: Node, slots: list[tuple[str, str]], links: list[dict], place: list[int]) -> dict:
    settings = _settings(graph, node)
    incoming = {link["target_slot"]: link["id"] for link in links if link["target_id"] == node.id}
    inputs: list[dict] = [{"name": n, "type": kind, "link": incoming.get(i)} for i, (n, kind) in enumerate(slots)]
    for saved in inputs:
        if saved["name"] in settings:
            saved["widget"] = {"name": saved["name"]}
    outputs = [
        {
            "name": name,
            "type": _type(graph, Output(node.id, slot)),
            "links": _ids(links, "origin", node.id, slot) or None,
        }
        for slot, name in enumerate(node.outputs)
    ]
    inner = graph.blueprints.get(node.type)
    properties = {"Node name for S&R": node.type} if inner is None else {}
    if node.type != "MarkdownNote":
        properties |= PACK if inner or node.type.startswith("LIME") else HOST
    return {
        "id": node.id,
        "type": _uuid(f"blueprint {inner.name}") if inner else node.type,
        "pos": place[:2],
        "size": place[2:],
        "flags": {},
        "order": node.id % 100 - 1,
        "mode": 0,
        "inputs": inputs,
        "outputs": outputs,
        "title": node.title,
        "properties": properties | node.properties,
        "widgets_values": [value for values in settings.values() for value in values],
    } | _look(graph, node)


def _specs(graph: Graph, node: Node) -> dict[str, list]:
    """What the host says of a node's inputs, by name and in its order."""
    if node.type == "MarkdownNote":
        return {"text": ["STRING", {"multiline": True}]}
    if inner := graph.blueprints.get(node.type):
        return {face.name: _face_spec(face) for face in inner.faces}
    groups = graph.node_info[node.type]["input"]
    return {**groups.get("required", {}), **groups.get("optional", {})}


def _face_spec(face: Face) -> list:
    options = {"multiline": face.name == "text", "control_after_generate": False, "forceInput": face.value is None}
    return [face.type, options | {"default": face.value}]


def _is_setting(spec: list) -> bool:
    options = spec[1] if len(spec) > 1 else {}
    return (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options.get("forceInput")


def _slots(graph: Graph, node: Node) -> list[tuple[str, str]]:
    """(name, type) of the inputs as the page orders them: sockets, then settings."""
    if node.type == "MarkdownNote":
        return []
    specs = _specs(graph, node).items()
    kinds = [(name, "COMBO" if isinstance(spec[0], list) else spec[0], _is_setting(spec)) for name, spec in specs]
    return [(name, kind) for name, kind, _ in sorted(kinds, key=lambda kind: kind[2])]


def _settings(graph: Graph, node: Node) -> dict[str, list]:
    """Settings by name, each as it is saved: the value, and what the page puts behind it."""
    saved = {}
    for name, spec in _specs(graph, node).items():
        if not _is_setting(spec):
            continue
        options = spec[1] if len(spec) > 1 else {}
        value = node.inputs.get(name, _default(spec, options))
        if isinstance(value, Output):  # what is left in it when the wire is gone, or the blueprint is taken apart
            value = graph.faces[value.slot].value if value.node == INPUT_NODE else _default(spec, options)
        saved[name] = [value]
        if options.get("control_after_generate", name in SEEDS):
            saved[name].append("fixed")
        if options.get("image_upload"):
            saved[name].append("image")
    return saved


def _default(spec: list, options: dict) -> Any:
    choices = spec[0] if isinstance(spec[0], list) else options.get("options", [])
    return options.get("default", choices[0] if choices else "" if spec[0] == "STRING" else 0)


def _type(graph: Graph, output: Output) -> str:
    if output.node == INPUT_NODE:
        return graph.faces[output.slot].type
    (node,) = (node for node in graph.nodes if node.id == output.node)
    if inner := graph.blueprints.get(node.type):
        return _type(inner, list(inner.results.values())[output.slot])
    return graph.node_info[node.type]["output"][output.slot]


def _layout(graph: Graph) -> dict[int, list[int]]:
    """[x, y, width, height] by node id: columns side by side, the nodes of each below one another."""
    places: dict[int, list[int]] = {}
    x = y = beside = 0
    for column in graph.columns:
        if not column.below:
            x, y = beside, 0
        for node in column.nodes:
            height = _height(graph, node)
            places[node.id] = [x, y, column.width, height]
            y += height + GAP
        beside = x + column.width + GAP
    return places


def _look(graph: Graph, node: Node) -> dict[str, str]:
    """The colours of a node in a titled column. Not a group: Nodes 2.0 stretches groups and nodes differently."""
    titled = [column for column in graph.columns if column.title]
    for number, column in enumerate(titled):
        if node in column.nodes:
            return dict(zip(("color", "bgcolor"), COLOURS[number % len(COLOURS)], strict=True))
    return {}


def _height(graph: Graph, node: Node) -> int:
    if node.type == "MarkdownNote":
        return node.shows
    specs = _specs(graph, node).values()
    texts = sum(bool(_is_setting(s) and s[0] == "STRING" and s[1].get("multiline")) for s in specs)
    shown = sum(_is_setting(s) for s in specs) - texts
    sockets = max(sum(not _is_setting(s) for s in specs), len(node.outputs))
    texts += node.type in BOXED
    return HEAD + SLOT * sockets + SETTING * shown + TEXT * texts + node.shows


def _uuid(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://arxiv.org/abs/2312.09256#{name}"))
