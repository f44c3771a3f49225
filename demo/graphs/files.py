"""What the description says each shipped file holds."""

import json

from .blueprints import BLUEPRINTS
from .graph import Graph
from .large_models import TEMPLATES as OF_LARGE_MODELS
from .newer_nodes import NEWER
from .page import blueprint, workflow
from .templates import TEMPLATES


def files(node_info: dict) -> dict[str, str]:
    """The text of every blueprint and template, by its path in the repository. node_info: the host's /object_info."""
    node_info = node_info | NEWER
    saved = {}
    for describe in BLUEPRINTS:
        graph = describe(node_info)
        saved[f"subgraphs/{graph.name}.json"] = blueprint(graph)
    for title, describe in (TEMPLATES | OF_LARGE_MODELS).items():
        graph = Graph(title, node_info)
        describe(graph)
        saved[f"example_workflows/{title}.json"] = workflow(graph)
    return {path: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for path, content in saved.items()}
