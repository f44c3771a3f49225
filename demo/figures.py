"""Figures with their intervals, in files that say where and when they were measured, and by which command."""

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .host import PACK, use_host

RESULTS = PACK / "benchmarks" / "results"
RESAMPLES = 2000


def interval(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Mean of the values and its 95 % interval by the bootstrap: value, low and high."""
    from scipy.stats import bootstrap

    drawn = bootstrap(
        (np.asarray(values, float),), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    )
    low, high = drawn.confidence_interval
    return {"value": float(np.mean(values)), "low": float(low), "high": float(high)}


def command_of(parser: argparse.ArgumentParser) -> str:
    """The command line that this process was started with."""
    return " ".join([parser.prog, *sys.argv[1:]])


def today() -> str:
    """The date, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def measured_on(command: str) -> dict[str, Any]:
    """Where, when and by which command figures are measured."""
    use_host()
    import comfyui_version
    import torch

    return {
        "command": command,
        "date": today(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "host": comfyui_version.__version__,
        "torch": torch.__version__,
    }


def write_results(path: Path, command: str, results: dict[str, Any], **meta: Any) -> None:
    """Writes results, and under "meta" where and how they came to be, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"meta": measured_on(command) | meta} | results, indent=1) + "\n")


def _processor() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
