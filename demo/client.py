"""ComfyUI's HTTP and websocket API: queue a prompt, follow it, fetch its pictures."""

import asyncio
import io
import json
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from PIL import Image


class PromptError(RuntimeError):
    """The server refused the prompt, or a node failed; the message is the node's own."""


@dataclass
class Result:
    """What one run gave: ui outputs by node id, and which nodes ran or came from the cache."""

    outputs: dict[str, dict] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # from a node's start to the next node's


class Client:
    """Talks to one server. `on_progress(node id, step, steps)` is called as nodes progress."""

    def __init__(self, address: str, on_progress: Callable[[str, int, int], None] | None = None) -> None:
        self.address = address
        self.id = uuid.uuid4().hex
        self.on_progress = on_progress or (lambda node, value, maximum: None)

    def run(self, prompt: dict) -> Result:
        """Queues an API-format prompt and waits for its end. Raises PromptError."""
        return asyncio.run(self._run(prompt))

    def object_info(self) -> dict:
        return asyncio.run(self._get("/object_info"))

    def upload(self, name: str, png: bytes) -> str:
        """Puts a picture into the server's input folder; returns the name LoadImage takes."""
        return asyncio.run(self._upload(name, png))

    def picture(self, image: dict) -> Image.Image:
        """A picture of a ui output, {"filename", "subfolder", "type"}."""
        query = urllib.parse.urlencode(image)
        return Image.open(io.BytesIO(asyncio.run(self._get(f"/view?{query}", binary=True)))).convert("RGB")

    def post(self, path: str, body: dict | None = None) -> None:
        asyncio.run(self._post(path, body or {}))

    async def _get(self, path: str, binary: bool = False) -> Any:
        async with aiohttp.ClientSession(self.address) as session, session.get(path) as response:
            response.raise_for_status()
            return await (response.read() if binary else response.json())

    async def _post(self, path: str, body: dict) -> None:
        async with aiohttp.ClientSession(self.address) as session, session.post(path, json=body) as response:
            response.raise_for_status()

    async def _upload(self, name: str, png: bytes) -> str:
        form = aiohttp.FormData()
        form.add_field("image", png, filename=name, content_type="image/png")
        form.add_field("overwrite", "true")
        async with aiohttp.ClientSession(self.address) as session, session.post("/upload/image", data=form) as response:
            response.raise_for_status()
            return (await response.json())["name"]

    async def _run(self, prompt: dict) -> Result:
        result, loop = Result(), asyncio.get_running_loop()
        async with (
            aiohttp.ClientSession(self.address) as session,
            session.ws_connect(f"/ws?clientId={self.id}", max_msg_size=0) as socket,
        ):
            async with session.post("/prompt", json={"prompt": prompt, "client_id": self.id}) as response:
                body = await response.json()
                if response.status != 200 or body.get("node_errors"):  # with 200 the host runs what is sound
                    raise PromptError(refusal(body))
            node, since = None, loop.time()
            async for message in socket:
                if message.type != aiohttp.WSMsgType.TEXT:
                    continue  # binary messages are latent previews
                event = json.loads(message.data)
                kind, data = event["type"], event["data"]
                if data.get("prompt_id") != body["prompt_id"]:
                    continue
                if kind == "execution_cached":
                    result.cached = data["nodes"]
                elif kind == "executing":
                    if node is not None:
                        result.seconds[node] = result.seconds.get(node, 0.0) + loop.time() - since
                    node, since = data["node"], loop.time()
                    if node is None:
                        return result
                    result.executed.append(node)
                elif kind == "executed":
                    result.outputs[data["node"]] = data["output"] or {}
                elif kind == "progress":
                    self.on_progress(data["node"], data["value"], data["max"])
                elif kind == "execution_interrupted":
                    raise PromptError("interrupted")
                elif kind == "execution_error":
                    raise PromptError(data["exception_message"].strip())
        raise PromptError("the server closed the connection before the run was finished")


def refusal(body: dict) -> str:
    """The reasons of a prompt that failed validation, as one line."""
    reasons = [
        f"{node['class_type']}: {error['details'] or error['message']}"
        for node in (body.get("node_errors") or {}).values()
        for error in node["errors"]
    ]
    return "; ".join(reasons) or body["error"]["message"]
