"""What many edits cost: `python -m benchmarks.bulk --out benchmarks/results/bulk.json`.

Scenes of the demo model through `python -m bulk edit`: by one worker of one thread, by two, and by two of which one is
killed again and again; every folder of results is compared with the first, pixel by pixel. Wants two quiet cores. Exits
with 1 when a bound is missed.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from PIL import Image

from bulk.store import Store
from demo.edits import FIRST_SEED, held_out_scene
from demo.figures import command_of, write_results
from demo.host import PACK

WORKFLOW = "1"  # the template that needs no download
SAMPLED = 1.0  # seconds between two looks at the workers
SIDE, SCHEDULE = 512, 30  # of the edit of SD1.5 that the engine's own time is compared with
BOUNDS: dict[str, tuple[Callable[[float], bool] | None, str]] = {
    "throughput": (lambda value: value >= 1.7, "edits a second of two workers / of one; at least 1.7"),
    "edits_a_second": (None, "of one worker"),
    "other_pixels": (lambda value: value == 0, "rows of two workers whose picture or mask is not the lone run's; 0"),
    "killed_other_pixels": (lambda value: value == 0, "the same where workers were killed; 0"),
    "killed": (lambda value: value > 0, "workers that were killed"),
    "killed_lost": (lambda value: value == 0, "rows that are missing or have failed there; 0"),
    "killed_twice": (lambda value: value == 0, "rows that its table has more than once; 0"),
    "own_seconds": (None, "the engine's own time for an edit: a worker's time less the host's, s"),
    "sd15_seconds": (None, f"an edit of SD1.5 at {SIDE} px on one thread: {SCHEDULE} plain steps, s"),
    "own_share": (lambda value: value <= 0.05, "own_seconds / sd15_seconds; at most 0.05"),
    "memory_growth": (
        lambda value: value <= 1.05,
        "a worker's memory, last quarter / second one; at most 1.05",
    ),
}


class Ran(NamedTuple):
    """One run of the command."""

    store: Store
    memory: list[float]  # of the largest worker, MB, one a look
    killed: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--edits", type=int, default=400)
    parser.add_argument("--kill-seconds", type=float, default=30.0, help="between two killed workers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = write_scenes(folder, options.edits)
        one = run(table, folder / "one", workers=1)
        two = run(table, folder / "two", workers=2)
        killed = run(table, folder / "killed", workers=2, kill_seconds=options.kill_seconds)
        figures = compared(one, two, killed, options.edits)
    figures["sd15_seconds"] = sd15_seconds()
    figures["own_share"] = figures["own_seconds"] / figures["sd15_seconds"]
    results, missed = {}, False
    for name, (bound, what) in BOUNDS.items():
        kept = bound is None or bound(figures[name])
        missed |= not kept
        results[name] = {"value": figures[name], "what it is": what, "bound": "" if kept else "missed"}
        print(f"{name:22}{figures[name]:10.4g}  {what}{'' if kept else '  MISSED'}")
    write_results(options.out, command_of(parser), results, edits=options.edits)
    return int(missed)


def write_scenes(folder: Path, edits: int) -> Path:
    """Pictures of held-out scenes, and the table of their instructions in the same folder."""
    table = folder / "instructions.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "instruction"])
        for seed in range(FIRST_SEED, FIRST_SEED + edits):
            scene = held_out_scene(seed)
            pixels = (scene.source.numpy() * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{seed}.png")
            writer.writerow([f"{seed}.png", scene.instruction])
    return table


def run(table: Path, out: Path, workers: int, kill_seconds: float | None = None) -> Ran:
    """`python -m bulk edit` on all rows, watched."""
    arguments = ["--pictures", table.parent, "--instructions", table, "--workflow", WORKFLOW, "--out", out]
    arguments += ["--workers", str(workers), "--threads", "1"]
    command = [sys.executable, "-m", "bulk", "edit", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=PACK)
    memory, kills, done = [], [0], threading.Event()

    def watch() -> None:
        due, victim, before = time.monotonic() + (kill_seconds or float("inf")), 0, 0
        while not done.wait(SAMPLED):
            found = _workers(process.pid)
            finished = sum(1 for _ in out.glob("rows/*/*.json"))
            if found and finished:  # models are loaded
                memory.append(max(map(_megabytes, found)))
            if found and time.monotonic() > due and finished > before:  # not again while the last one still starts
                found[victim % len(found)].kill()
                victim, kills[0], before = victim + 1, kills[0] + 1, finished
                due = time.monotonic() + (kill_seconds or 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        code = process.wait()
    finally:
        done.set()
        watcher.join()
    if code:
        raise RuntimeError(f"the command ended with {code}: {' '.join(command)}")
    return Ran(Store(out), memory, kills[0])


def _workers(command: int) -> list[psutil.Process]:
    """The processes that edit, by age."""
    try:
        children = psutil.Process(command).children(recursive=True)
    except psutil.NoSuchProcess:  # the command has ended
        return []
    return [child for child in children if "ray::MapWorker" in _title(child)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended
        return ""


def _megabytes(process: psutil.Process) -> float:
    try:
        return process.memory_info().rss / 2**20
    except psutil.Error:
        return 0.0


def compared(one: Ran, two: Ran, killed: Ran, edits: int) -> dict[str, Any]:
    """What the three runs show."""
    records = list(killed.store.records())
    finished = [record["key"] for record in records if not record["error"]]
    one_rate, two_rate = rate(one.store), rate(two.store)
    host = float(np.median([record["seconds"] for record in one.store.records()]))
    return {
        "throughput": two_rate / one_rate,
        "edits_a_second": one_rate,
        "other_pixels": other_pixels(one.store, two.store),
        "killed_other_pixels": other_pixels(one.store, killed.store),
        "killed": killed.killed,
        "killed_lost": edits - len(set(finished)),
        "killed_twice": len(finished) - len(set(finished)),
        "own_seconds": 1 / one_rate - host,
        "memory_growth": growth(one.memory),
    }


def rate(store: Store) -> float:
    """Edits a second, from when a tenth is finished to when nine tenths are: without workers' starts and ends."""
    times = sorted(store.path("rows", r["key"], ".json").stat().st_mtime for r in store.records() if not r["error"])
    first, last = len(times) // 10, len(times) * 9 // 10
    return (last - first) / (times[last] - times[first])


def other_pixels(store: Store, other: Store) -> int:
    """Rows whose picture or mask differs by any pixel."""
    return sum(
        any(_pixels(store, kind, key) != _pixels(other, kind, key) for kind in ("pictures", "masks"))
        for key in (record["key"] for record in store.records())
    )


def _pixels(store: Store, kind: str, key: str) -> bytes | None:
    path = store.path(kind, key, ".png")
    return Image.open(path).tobytes() if path.is_file() else None


def growth(memory: list[float]) -> float:
    """Mean of the last quarter over that of the second one."""
    quarter = max(1, len(memory) // 4)
    return float(np.mean(memory[-quarter:]) / np.mean(memory[quarter : 2 * quarter]))


def sd15_seconds() -> float:
    """An edit of SD1.5's size: one plain step, the better of two, times the schedule's."""
    import torch

    from .sd15 import Edit, random_model

    torch.set_num_threads(1)
    with torch.inference_mode():
        edit, seconds = Edit(random_model(), SIDE), []
        for _ in range(2):
            since = time.perf_counter()
            edit.sample(steps=slice(0, 1))
            seconds.append(time.perf_counter() - since)
    return SCHEDULE * min(seconds)


if __name__ == "__main__":
    sys.exit(main())
