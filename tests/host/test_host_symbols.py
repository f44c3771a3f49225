"""Every name of the host that the pack imports, read from its files: the first thing to look at with a new host."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from demo.host import use_host

PACK = Path(__file__).parents[2]
HOST = ("comfy", "comfy_api", "comfy_extras", "latent_preview", "node_helpers")
SHIPPED = [*sorted((PACK / "nodes").rglob("*.py")), PACK / "demo" / "model.py"]


def symbols(path: Path) -> set[str]:
    """Dotted names of the host that a file imports, and what it reads from the modules that it imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
    return {name for name in found if name.split(".")[0] in HOST and re.fullmatch(r"[\w.]+", name)}


NAMES = sorted(set().union(*map(symbols, SHIPPED)))


def test_the_names_are_found():
    assert {"comfy.patcher_extension.WrappersMP", "comfy.samplers.CFGGuider", "comfy_api.latest.io"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_host_has(name):
    use_host()
    module, rest = name, []
    while True:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            assert module, f"the host has no {name}"
            rest.insert(0, last)
    for part in rest:
        assert hasattr(found, part), f"this host has no {name}: {module} lacks {part!r}"
        found = getattr(found, part)
