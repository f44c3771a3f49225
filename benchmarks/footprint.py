"""What the pack takes beside time in sampling: memory, and seconds when the host starts."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch

from demo.host import PACK, load_pack, use_host

from .sd15 import Edit
from .steps import ONE
from .timing import seconds

MB = 1e6


def memory(edit: Edit) -> dict[str, list[float]]:
    """MB of a probe's record, and MB by which recording, clustering and locating raise the peak of a plain step."""
    edit.sample(steps=ONE)  # what only the first step allocates
    plain = peak_bytes(lambda: edit.sample(steps=ONE))
    raised = peak_bytes(lambda: edit.find(edit.probe(1)[0])) - plain
    record = edit.probe(1)[0]._replace(picture=torch.empty(0)).get_ram_usage()
    return {"record_mb": [record / MB], "probe_peak_mb": [raised / MB]}


def peak_bytes(action: Callable[[], Any]) -> int:
    """Highest sum of live tensors that the action allocates, of the allocator's own events, so that it repeats."""
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        action()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        action()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda e: e.start_ns())
    return max(accumulate(e.nbytes() for e in events))


def import_costs(rounds: int) -> dict[str, list[float]]:
    """Seconds in which a host that has started imports the pack, in a new process each."""
    command = [sys.executable, "-c", f"import {__name__} as footprint; print(footprint.import_seconds())"]
    runs = [subprocess.run(command, cwd=PACK, stdout=subprocess.PIPE, text=True, check=True) for _ in range(rounds)]
    return {"import_seconds": [float(run.stdout.split()[-1]) for run in runs]}


def import_seconds() -> float:
    """Seconds of importing the pack, once a process."""
    use_host()
    import nodes

    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    return seconds(load_pack)
