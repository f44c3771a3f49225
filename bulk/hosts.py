"""The two ComfyUIs that a worker edits with: one in its own process, or running servers."""

import asyncio
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from PIL import Image

from demo.client import Client, PromptError, refusal
from demo.host import comfyui_path, load_pack, use_host

Answer = TypeVar("Answer")


class NoServer(RuntimeError):
    """No server answers: the run cannot go on, and no row is to blame."""


class Host(Protocol):
    def object_info(self) -> dict:
        """What nodes take, by class, as a server's /object_info says it."""
        ...

    def run(self, prompt: dict, name: str, picture: bytes, outputs: Sequence[str]) -> dict[str, Image.Image]:
        """Runs a prompt in API format that loads the picture under that name; the first picture of each output node.

        Raises PromptError for what the prompt or the picture is to blame for.
        """
        ...


class InProcess:
    """ComfyUI in this process, with its own executor and cache, all of its nodes, and its folders in a scratch one."""

    def __init__(self, threads: int) -> None:
        use_host()
        import torch
        import utils.extra_config

        torch.set_num_threads(threads)
        import comfy.utils
        import execution
        import folder_paths
        import server

        import nodes

        comfy.utils.set_progress_bar_enabled(False)
        self.scratch = tempfile.TemporaryDirectory(prefix="lime-bulk-", ignore_cleanup_errors=True)
        for name in ("input", "output", "temp", "user"):
            folder = Path(self.scratch.name) / name
            folder.mkdir()
            getattr(folder_paths, f"set_{name}_directory")(str(folder))
        more_models = comfyui_path() / "extra_model_paths.yaml"
        if "COMFYUI_PATH" in os.environ and more_models.is_file():
            utils.extra_config.load_extra_path_config(str(more_models))
        # Packs ask for the server's instance when they are imported. It serves nothing here.
        stub = server.PromptServer(asyncio.new_event_loop())
        asyncio.run(nodes.init_extra_nodes(init_api_nodes=False))
        load_pack()
        self.nodes, self.execution, self.paths = nodes.NODE_CLASS_MAPPINGS, execution, folder_paths
        self.executor = execution.PromptExecutor(stub, cache_args={"lru": 0, "ram": 0, "ram_inactive": 0})

    def object_info(self) -> dict:
        return _Info(lambda name: {"input": self.nodes[name].INPUT_TYPES()}, self.nodes)

    def run(self, prompt: dict, name: str, picture: bytes, outputs: Sequence[str]) -> dict[str, Image.Image]:
        (Path(self.paths.get_input_directory()) / name).write_bytes(picture)
        run = uuid.uuid4().hex
        valid, error, wanted, of_nodes = asyncio.run(self.execution.validate_prompt(run, prompt, None))
        if not valid or of_nodes:
            raise PromptError(refusal({"error": error, "node_errors": of_nodes}))
        self.executor.execute(prompt, run, {}, wanted)
        for event, data in self.executor.status_messages:
            if event == "execution_error":
                raise PromptError(data["exception_message"].strip())
        shown = self.executor.history_result["outputs"]
        return {key: self._taken(shown[key]["images"][0]) for key in outputs}

    def _taken(self, image: dict) -> Image.Image:
        path = Path(self.paths.get_directory_by_type(image["type"])) / image["subfolder"] / image["filename"]
        picture = Image.open(path).convert("RGB")
        path.unlink()
        return picture


class _Info(dict):
    """What `to_api` asks of the nodes, for those alone that it asks for: some list folders of models."""

    def __init__(self, of: Callable[[str], dict], names: Iterable[str]) -> None:
        super().__init__(dict.fromkeys(names))
        self.of = of

    def __getitem__(self, name: str) -> dict:
        return self.of(name)


class Servers:
    """Running servers: the first of them, and the next where one does not answer."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.clients = [Client(address.rstrip("/")) for address in addresses]

    def object_info(self) -> dict:
        return self._ask(lambda client: client.object_info())

    def run(self, prompt: dict, name: str, picture: bytes, outputs: Sequence[str]) -> dict[str, Image.Image]:
        def edit(client: Client) -> dict[str, Image.Image]:
            client.upload(name, picture)
            shown = client.run(prompt).outputs
            return {key: client.picture(shown[key]["images"][0]) for key in outputs}

        return self._ask(edit)

    def _ask(self, question: Callable[[Client], Answer]) -> Answer:
        for _ in self.clients:
            try:
                return question(self.clients[0])
            except OSError:  # not reached; one that stops midway may have died of the row, which then fails
                self.clients.append(self.clients.pop(0))
        raise NoServer(f"none of the servers answers: {', '.join(client.address for client in self.clients)}")
