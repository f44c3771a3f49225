"""What the pack costs beside the sampling itself, as ratios measured in turn: `python -m benchmarks.speed --out FILE`.

SD1.5's InstructPix2Pix at its real size with random weights; medians of several rounds.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

GRID = (128, 128)
BOUNDS = {
    "regularized_step": 1.02,
    "probe_step": 1.05,
    "one_pass": 1.05,
    "two_pass": 1.42,
    "published_two_pass": None,
    "clustering": 0.01,
    "clustering_one_start": 0.04,
    "clustering_ari": 0.99,
    "probe_memory_mb": 150,
    "import_seconds": 0.1,
    "growth": 1.0,
}


def seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def in_turn(actions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, all of them once a round, so that a slow spell of the machine meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action))
    return times


def ratio(times: dict[str, list[float]], name: str, to: str = "plain") -> float:
    """Median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(times[name], times[to], strict=True))


# --- steps and edits -------------------------------------------------------------------------------------------------


def steps(edit: Any, rounds: int) -> dict[str, float]:
    regularized = edit.regularized()
    one = slice(0, 2)
    edit.sample(steps=one)
    times = in_turn(
        {
            "plain": lambda: edit.sample(steps=one),
            "regularized": lambda: edit.sample(regularized, one),
            "probe": lambda: edit.probe(1),
        },
        rounds,
    )
    return {
        "regularized_step": ratio(times, "regularized"),
        "probe_step": ratio(times, "probe"),
        "plain_step_seconds": statistics.median(times["plain"]),
    }


def edits(edit: Any, rounds: int) -> dict[str, float]:
    from .sd15 import Published

    names = ("one_pass", "two_pass", "published_two_pass")
    actions = {
        "plain": edit.sample,
        "one_pass": edit.one_pass,
        "two_pass": edit.two_pass,
        "published_two_pass": Published(edit).two_pass,
    }
    times = in_turn(actions, rounds)
    return {name: ratio(times, name) for name in names}


# --- the pack's own work, alone --------------------------------------------------------------------------------------


def own_seconds(edit: Any, rounds: int = 9) -> float:
    """Time that recording and regularising add to a step's attention, layer by layer at the model's own sizes."""
    from lime_ops import attention_probabilities, cover_region, regularized_attention

    from .sd15 import STRENGTH

    side, device = edit.side // 8, edit.host.device
    dtype = edit.model.model.get_dtype()
    total = 0.0
    for shrink, channels, layers in ((1, 320, 5), (2, 640, 5), (4, 1280, 5), (8, 1280, 1)):
        size = (side // shrink, side // shrink)
        pixels, rows = size[0] * size[1], 3 * edit.images
        q = torch.randn(rows, pixels, channels, device=device, dtype=dtype)
        k, v = torch.randn(2, rows, 77, channels, device=device, dtype=dtype)
        extra = {"n_heads": 8, "attn_precision": None}
        work: dict[str, Callable[[], Any]] = {
            "plain": lambda q=q, k=k, v=v, e=extra: edit.host.hooks.host_attention(q, k, v, e)
        }
        if edit.host.hooks.regularized(size, (side, side), False):
            here = cover_region(edit.region == 1, size).flatten(1).to(device).expand(rows, -1)
            silent = edit.tokens.unrelated.expand(rows, -1)
            work["regularized"] = lambda q=q, k=k, v=v, here=here, silent=silent, plain=work["plain"]: (
                regularized_attention(q, k, v, 8, here, silent, STRENGTH, attention=plain)
            )
        if edit.host.hooks.recorded(size, (side, side), False):
            work["recorded"] = lambda q=q, k=k: (
                attention_probabilities(q[: edit.images], k[: edit.images], 8), q[: edit.images].clone(),
                q[: edit.images].clone(),
            )  # fmt: skip
        times = {name: statistics.median(values) for name, values in in_turn(work, rounds).items()}
        added = max(times.get("regularized", times["plain"]) - times["plain"], 0) + times.get("recorded", 0)
        total += layers * added
    return total


def growth(host: Any, model: Any, first: float, sizes: tuple[tuple[int, int], ...]) -> dict[str, float]:
    """Growth of the pack's own time over growth of the plain step's, from 256 px and one picture: at most 1."""
    from .sd15 import Sd15Edit

    own_seconds(Sd15Edit(host, model, 256))  # the first time of anything is slower
    own = own_seconds(Sd15Edit(host, model, 256))
    grown = {}
    for side, images in sizes:
        edit = Sd15Edit(host, model, side, images)
        step = statistics.median(
            seconds(lambda edit=edit: edit.sample(steps=slice(0, 2))) for _ in range(3 if side == 256 else 1)
        )
        grown[f"{side} px x {images}"] = (own_seconds(edit) / own) / (step / first)
    return grown


# --- clustering ------------------------------------------------------------------------------------------------------


def structured_maps(seed: int = 0, kinds: int = 8) -> list[Tensor]:
    """Maps of SD1.5's channel counts at 512 px: regions of unlike features, smooth within, with noise."""
    generator = torch.Generator().manual_seed(seed)
    plan = torch.randn(1, kinds, 8, 8, generator=generator)
    maps = []
    for side, channels in ((32, 640), (16, 1280)):
        share = torch.nn.functional.interpolate(plan, (side, side), mode="bicubic")[0].mul(3).softmax(0)
        for _ in range(10):
            basis = torch.randn(kinds, channels, generator=generator)
            noise = 0.3 * torch.randn(side, side, channels, generator=generator)
            maps.append((torch.einsum("khw,kc->hwc", share, basis) + noise)[None])
    return maps


def demo_maps() -> list[Tensor]:
    from demo.evaluate import Edits
    from demo.scenes import make_scene

    return list(Edits([make_scene(100_000, "held_out")]).probe()[0].features())


def agreement(maps: list[Tensor]) -> float:
    """Adjusted Rand index of our labels and scikit-learn's from the same start."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    from lime_ops import fuse_features, segment_features
    from lime_ops.segments import _Pixels, _spread_out

    ours = segment_features(maps, GRID)[0].flatten()
    fused = fuse_features(maps, GRID)[0].flatten(0, 1).numpy()
    starts = _spread_out(_Pixels.of([m[0] for m in maps], GRID, True), 8, torch.Generator().manual_seed(0))
    theirs = KMeans(len(starts), init=fused[starts], n_init=1).fit(fused).labels_
    return float(adjusted_rand_score(theirs, ours))


def clustering(rounds: int) -> dict[str, float]:
    from sklearn.cluster import KMeans

    from lime_ops import fuse_features, segment_features

    maps = structured_maps()

    def dense(starts: int) -> None:
        KMeans(8, n_init=starts, random_state=0).fit(fuse_features(maps, GRID)[0].flatten(0, 1).numpy())

    segment_features(maps, GRID)
    ours = statistics.median(seconds(lambda: segment_features(maps, GRID)) for _ in range(max(3, rounds)))
    return {
        "clustering": ours / seconds(lambda: dense(10)),
        "clustering_one_start": ours / seconds(lambda: dense(1)),
        "clustering_ari": min(agreement(maps), agreement(demo_maps())),
        "clustering_seconds": ours,
    }


# --- memory and import, each in a process of its own -----------------------------------------------------------------


def peak_mb(action: Callable[[], Any]) -> float:
    """Highest sum of live tensors that the action allocates, in MiB: of the allocator's own events, so it repeats."""
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        action()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profiler:
        action()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda e: e.start_ns())
    return max(accumulate(e.nbytes() for e in events)) / 2**20


def _memory(queue: Any) -> None:
    from .sd15 import Sd15Edit, host, random_model

    edit = Sd15Edit(host(), random_model(), 512)
    with torch.inference_mode():
        edit.sample(steps=slice(0, 2))  # what only the first step allocates
        plain = peak_mb(lambda: edit.sample(steps=slice(0, 2)))
        probe = peak_mb(lambda: edit.find(edit.probe(1)[0]))
    print(f"peak of a plain step {plain:.0f} MB, of a probe's step, clustering and region {probe:.0f} MB", flush=True)
    queue.put(probe - plain)


def _import(queue: Any) -> None:
    import sys

    from demo.host import load_pack, use_host

    use_host()
    import nodes

    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False))  # a host that has started
    before = set(sys.modules)
    took = seconds(load_pack)
    heavy = {"sklearn", "matplotlib"} & (set(sys.modules) - before)
    if heavy:
        raise RuntimeError(f"importing the pack imports {heavy}")
    queue.put(took)


def in_child(work: Callable[..., None], *args: Any) -> float:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=work, args=(queue, *args))
    child.start()
    while child.is_alive() and queue.empty():
        time.sleep(0.1)
    if queue.empty():
        raise RuntimeError(f"{work.__name__} failed: see above")
    value = queue.get()
    child.join()
    return value


# --- the table -------------------------------------------------------------------------------------------------------


def machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{name}, {os.cpu_count()} cores"


def table(figures: dict[str, Any]) -> str:
    rows = [f"{'figure':24}{'measured':>12}{'must be':>12}"]
    for name, bound in BOUNDS.items():
        if name not in figures:
            continue
        value = max(figures[name].values()) if isinstance(figures[name], dict) else figures[name]
        rule = "" if bound is None else f"{'>=' if name == 'clustering_ari' else '<='} {bound}"
        rows.append(f"{name:24}{value:12.4f}{rule:>12}")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--side", type=int, default=256, help="pixels a side of steps and whole edits; default 256")
    parser.add_argument("--rounds", type=int, default=5, help="of single steps; default 5")
    parser.add_argument(
        "--edits", type=int, default=1, help="rounds of whole edits (a quarter of an hour each on 2 cores)"
    )
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "side": options.side}

    def note(more: dict[str, Any]) -> None:
        figures.update(more)
        print(json.dumps(more), flush=True)
        if options.out:
            options.out.write_text(json.dumps(figures, indent=2) + "\n")

    note({"import_seconds": statistics.median(in_child(_import) for _ in range(3))})
    note({"probe_memory_mb": in_child(_memory)})
    with torch.inference_mode():
        note(clustering(options.rounds))
        from .sd15 import Sd15Edit, host, random_model

        the_host = host()
        model = random_model()
        edit = Sd15Edit(the_host, model, options.side)
        note(steps(edit, options.rounds))
        first = statistics.median(
            seconds(lambda: Sd15Edit(the_host, model, 256).sample(steps=slice(0, 2))) for _ in range(3)
        )
        note({"growth": growth(the_host, model, first, ((512, 1), (768, 1), (256, 4)))})
        note(edits(edit, options.edits))
    print(f"{figures['machine']}, {options.side} px\n{table(figures)}")


if __name__ == "__main__":
    main()
