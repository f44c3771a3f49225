"""What may stand where: the rules of CONTRIBUTING.md, read from the syntax of the files."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from shipped import PACK, left_out, shipped_files

FAMILIES = PACK / "nodes" / "hooks" / "families"
LIME_OPS = sorted((PACK / "lime_ops").rglob("*.py"))
NODES = sorted((PACK / "nodes").glob("*.py"))
METHOD = [*LIME_OPS, *(p for p in sorted((PACK / "nodes").rglob("*.py")) if FAMILIES not in p.parents)]

OF_ONE_FAMILY = {"input_blocks", "middle_block", "output_blocks", "attn2", "concat_latent_image", "reference_latents"}
ENCODERS = {"l", "g", "t5xxl"}
NUMERIC = {"cv2", "einops", "kornia", "math", "numpy", "scipy", "sklearn", "torch"}
DRAWS = "previews.py"  # colours of the pictures that nodes show: no part of the method

PROCESSES_AND_DOWNLOADS = {
    "aiohttp", "ftplib", "http", "httpx", "huggingface_hub", "multiprocessing", "pip", "requests", "socket",
    "subprocess", "torch.hub", "torch.utils.model_zoo", "urllib", "urllib3", "wget",
}  # fmt: skip
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}
BANNED_OF_OS = ("system", "popen", "exec*", "spawn*", "fork*", "posix_spawn*", "startfile")
BANNED_OF_TORCH = {"hub", "load_state_dict_from_url", "download_url_to_file"}

TESTED_ELSEWHERE = {
    "features": "test_clustering.py: fused features against plain loops, Gram matrices against fused features",
    "settings": "numbers, which tests/host/test_published.py and test_recommended.py hold",
    "correlation": "what alignment estimates with: test_alignment.py",
    "cropping": "crops and their way back: test_photograph.py, test_compositing.py",
    "resampling": "one place for pixel centres: test_compositing.py",
    "instruction": "its parts read one sentence together: test_words.py",
}


def path_of(path: Path) -> str:
    return path.relative_to(PACK).as_posix()


def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


def imported(tree: list[ast.AST]) -> Iterator[str]:
    """Dotted names that are imported from outside this repository, as `torch.nn.functional`."""
    for node in tree:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_of(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def named(tree: list[ast.AST]) -> Iterator[str]:
    """Identifiers, and strings that are used as one; sentences may name what they like."""
    for node in tree:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword | ast.arg):
            yield node.arg or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            yield from node.value.split(".")


def strings(tree: list[ast.AST]) -> set[str]:
    return {node.value for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def shipped(suffix: str) -> list[Path]:
    return [path for path in shipped_files() if path.suffix == suffix]


@pytest.mark.parametrize("path", METHOD, ids=path_of)
def test_what_is_true_of_one_family_stands_in_its_module(path):
    tree = nodes_of(path)
    assert not OF_ONE_FAMILY & set(named(tree))
    assert not ENCODERS & strings(tree)


@pytest.mark.parametrize("path", LIME_OPS, ids=path_of)
def test_lime_ops_knows_nothing_of_comfyui(path):
    tree = nodes_of(path)
    host = {"comfy", "comfy_api", "comfy_extras", "folder_paths", "latent_preview", "nodes", "server"}
    assert not [name for name in imported(tree) if is_of(name, host)]
    depth = len(path.relative_to(PACK / "lime_ops").parts)
    assert not [n for n in tree if isinstance(n, ast.ImportFrom) and n.level > depth], "reaches out of lime_ops"


@pytest.mark.parametrize("path", [p for p in NODES if p.name != DRAWS], ids=path_of)
def test_a_node_computes_nothing_itself(path):
    names = [name for name in imported(nodes_of(path)) if is_of(name, NUMERIC) and name != "torch.Tensor"]
    assert not names, "arithmetic belongs to lime_ops, what knows samplers to nodes/hooks"


@pytest.mark.parametrize("path", [p for p in LIME_OPS if p.name != "__init__.py"], ids=path_of)
def test_every_module_of_the_method_has_its_tests(path):
    name = path.relative_to(PACK / "lime_ops").with_suffix("").parts[0]
    assert (PACK / "tests" / "lime_ops" / f"test_{name}.py").is_file() or name in TESTED_ELSEWHERE


def test_each_rule_of_comfyignore_names_something_that_is_there():
    assert [rule for rule in left_out() if rule[0] != "/" or not (PACK / rule[1:]).exists()] == []


def test_what_is_shipped_holds_the_pack_and_leaves_the_tools_at_home():
    names = {path_of(p) for p in shipped(".py")}
    assert {"__init__.py", "nodes/probe.py", "lime_ops/roi.py", "demo/model.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or name == "demo/server.py"]


@pytest.mark.parametrize("path", shipped(".py"), ids=path_of)
def test_what_is_shipped_starts_no_process_and_downloads_nothing(path):
    assert banned(nodes_of(path)) == []


@pytest.mark.parametrize("path", shipped(".js"), ids=path_of)
def test_the_page_evaluates_and_fetches_no_code(path):
    text = path.read_text(encoding="utf-8")
    assert not [word for word in ("eval(", "Function(", "import(", "http:", "https:", "<script") if word in text]


def test_readme_explains_errors_that_the_pack_raises():
    said = "\n".join(text for path in shipped(".py") for text in strings(nodes_of(path)))
    explained = re.findall(r"^\| `(.+?)` \|", (PACK / "README.md").read_text(), re.MULTILINE)
    assert len(explained) == 10
    assert [part for error in explained for part in error.split("...") if part.strip() not in said] == []


@pytest.mark.parametrize(
    "line",
    [
        "eval('1')",
        "import subprocess",
        "from urllib.request import urlopen",
        "import os; os.system('ls')",
        "from os import execv",
        "import torch; torch.hub.load('a', 'b')",
        "import builtins; builtins.exec('1')",
    ],
)
def test_the_check_of_what_is_shipped_finds(line):
    assert banned(list(ast.walk(ast.parse(line))))


@pytest.mark.parametrize("line", ["model.eval()", "import os; os.environ", "re.compile('a')", "model.compile()"])
def test_the_check_of_what_is_shipped_lets_pass(line):
    assert not banned(list(ast.walk(ast.parse(line))))


def banned(tree: list[ast.AST]) -> list[str]:
    """What the Registry does not let a pack do, by the names that do it."""
    found = [name for name in imported(tree) if is_of(name, PROCESSES_AND_DOWNLOADS)]
    found += [name for name in imported(tree) if name.startswith("os.") and _of_os(name.removeprefix("os."))]
    for node in tree:
        if isinstance(node, ast.Name) and node.id in BANNED_CALLS:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of, name = node.value.id, node.attr
            if (of == "os" and _of_os(name)) or (of == "builtins" and name in BANNED_CALLS):
                found.append(f"{of}.{name}")
            if of == "torch" and name in BANNED_OF_TORCH:
                found.append(f"{of}.{name}")
    return found


def _of_os(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in BANNED_OF_OS)
