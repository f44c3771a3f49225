"""The job of `python -m bulk edit`: a picture and its instruction through a workflow."""

import os
import re
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import ray
from PIL import Image
from ray.actor import ActorHandle

from .hosts import Host, InProcess, Servers
from .pictures import png, readable
from .rows import Row
from .workflow import MASK, edit_output, fill, prepare, settings_of


@ray.remote(num_cpus=0)
class Turns:
    """Which server comes first: another one for each worker that asks."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses

    def next(self) -> list[str]:
        self.addresses = self.addresses[1:] + self.addresses[:1]
        return self.addresses


class Edit:
    """Edits rows with one workflow. servers: None for a ComfyUI in this process."""

    def __init__(self, workflow: dict, method: str, threads: int, servers: ActorHandle | None = None) -> None:
        self.host: Host = InProcess(threads) if servers is None else Servers(ray.get(servers.next.remote()))
        self.prompt = prepare(workflow, self.host.object_info(), method)
        self.outputs = [key for key in (edit_output(self.prompt), MASK) if key in self.prompt]
        self.settings = settings_of(self.prompt) | {"threads": threads if servers is None else None}
        self.name = f"lime_bulk_{uuid.uuid4().hex[:8]}"  # of its pictures in the host's input folder

    def __call__(self, row: Row) -> tuple[dict[str, Any], Mapping[str, bytes]]:
        """(what is recorded of the row, its pictures as PNG). Each instruction edits what the one before gave."""
        picture, suffix = readable(Path(row["picture"])), Path(row["picture"]).suffix
        shown: dict[str, Image.Image] = {}
        seconds = 0.0
        for instruction in row["instructions"]:
            if not re.search(r"\w", instruction):
                raise ValueError(f"the instruction {instruction!r} has no words: expected one such as 'make it black'")
            name = f"{self.name}{suffix}"
            # A name of its own, so that the host saves again what its cache holds: its copy is gone.
            prefix = f"lime_bulk/{row['key'][-2:]}/{row['key']}_{uuid.uuid4().hex[:8]}"
            prompt = fill(self.prompt, name, instruction, row["seed"], prefix)
            since = time.perf_counter()
            shown = self.host.run(prompt, name, picture, self.outputs)
            seconds += time.perf_counter() - since
            picture, suffix = png(shown[self.outputs[0]]), ".png"
        width, height = shown[self.outputs[0]].size
        record = {"width": width, "height": height, "region": None, "seconds": seconds, "process": os.getpid()}
        files = {"pictures": picture}
        if MASK in shown:
            mask = shown[MASK].convert("L")
            record["region"] = float(np.asarray(mask, float).mean() / 255)
            files["masks"] = png(mask)
        return record | self.settings, files
