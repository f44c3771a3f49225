"""A ComfyUI graph as it is described: nodes in columns, and what is wired into each of their inputs."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NARROW, WIDE, LARGE = 300, 420, 600  # widths of columns, in pixels of the canvas
INPUT_NODE, OUTPUT_NODE = -10, -20  # the page's ids of the two ends of a subgraph


class Output(NamedTuple):
    """An output to wire from: the `slot`-th of the node with that id; INPUT_NODE for a blueprint's own inputs."""

    node: int
    slot: int


class Face(NamedTuple):
    """An input on the outside of a blueprint: a socket, or a setting when it has a value."""

    name: str
    type: str
    value: Any = None


@dataclass
class Node:
    """A node of the description.

    inputs: by name an Output, or the value of a setting. What is left out has its default.
    """

    id: int
    type: str
    title: str
    inputs: dict[str, Any]
    outputs: list[str]
    shows: int = 0  # pixels of the canvas that its preview needs below its settings
    properties: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, output: str) -> Output:
        return Output(self.id, self.outputs.index(output))


@dataclass
class Column:
    title: str
    width: int
    below: bool
    nodes: list[Node] = field(default_factory=list)


class Graph:
    """Nodes in columns from left to right. node_info: the host's /object_info, which knows their inputs and outputs."""

    def __init__(self, name: str, node_info: dict, before: int = 0) -> None:
        """before: how many ids to leave out, since those of blueprints and of what holds them must differ."""
        self.name, self.node_info = name, node_info
        self.columns: list[Column] = []
        self.faces: list[Face] = []
        self.results: dict[str, Output] = {}
        self.blueprints: dict[str, Graph] = {}  # by the type of the node that stands for one
        self.description, self.aliases = "", []
        self._count = before

    @property
    def nodes(self) -> list[Node]:
        return [node for column in self.columns for node in column.nodes]

    @contextmanager
    def column(self, title: str = "", width: int = NARROW, below: bool = False) -> Generator[None]:
        """Nodes that are added inside stand in one column, which has a colour of its own when it has a title.

        below: not beside the column before, but under it.
        """
        self.columns.append(Column(title, width, below))
        yield

    def add(
        self, kind: str, title: str = "", *, shows: int = 0, models: list[dict] | None = None, **inputs: Any
    ) -> Node:
        """A node in the last column. models: what the page offers to download for it."""
        info = self.node_info[kind]
        properties = {"models": models} if models else {}
        return self._place(kind, title or info["display_name"], inputs, info["output_name"], shows, properties)

    def note(self, text: str, height: int = 400, title: str = "Read me") -> None:
        self._place("MarkdownNote", title, {"text": text}, [], height, {})

    def use(self, blueprint: "Graph", title: str = "", *, shows: int = 0, **inputs: Any) -> Node:
        """One node that stands for a blueprint."""
        self.blueprints[blueprint.name] = blueprint
        values = {face.name: face.value for face in blueprint.faces if face.value is not None}
        return self._place(blueprint.name, title or blueprint.name, values | inputs, list(blueprint.results), shows, {})

    def face(self, name: str, kind: str, value: Any = None) -> Output:
        """An input of this blueprint."""
        self.faces.append(Face(name, kind, value))
        return Output(INPUT_NODE, len(self.faces) - 1)

    def _place(self, kind: str, title: str, inputs: dict, outputs: list[str], shows: int, properties: dict) -> Node:
        self._count += 1
        node = Node(self._count, kind, title, inputs, outputs, shows, properties)
        self.columns[-1].nodes.append(node)
        return node
