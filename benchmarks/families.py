"""What the pack costs a block of large models: `python -m benchmarks.families` writes benchmarks/results/families.json.

SDXL, Flux and Qwen-Image at their real widths with random weights, one block of each size, at 1024 px, with the
picture to edit beside the one that is sampled. A block's seconds are those of a real step; what the pack adds to them
is measured as in `benchmarks.steps`, in steps in which all but the attention is replayed, and for recording the
attention's output too. SDXL has the three branches of its guidance, the others one. Exits with 1 when a bound is
missed. `--quick` only shows that everything runs.
"""

import argparse
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from demo.figures import RESULTS, command_of, write_results

from .blocks import MODELS, BlockEdit
from .sd15 import host
from .steps import ONE, replaying
from .timing import Figure, in_turn, wait

MB = 1e6
FIGURES = {  # name: (bound, what it is)
    "recording": (0.03, "recording / the recorded block"),
    "regularising 10 %": (0.05, "regularising a region of 10 % of the picture / the blocks"),
    "regularising 100 %": (0.10, "regularising the whole picture / the blocks"),
    "block, s": (None, "a plain block, the first"),
    "record, MB": (None, "maps, Gram matrices and estimate of these blocks"),
    "record of the whole model, MB": (None, "the same, computed from the number of its layers"),
}
BOUNDS = {("SDXL InstructPix2Pix", "record of the whole model, MB"): 40.0}


def costs(edit: BlockEdit, rounds: int) -> dict[str, list[float]]:
    """FIGURES of one model, a round each where they are measured in rounds."""
    with replaying(edit.all_but_attention()):
        blocks = block_seconds(edit)
        record, capture = recording_seconds(edit, rounds)
        regularising = regularising_seconds(edit, rounds)
    maps, rest = (edit.host.sockets.ram_usage(part) / MB for part in (capture.attention, capture[2:4]))
    return {
        "recording": [s / sum(blocks[edit.kind.recorded]) for s in record],
        **{name: [s / sum(blocks) for s in samples] for name, samples in regularising.items()},
        "block, s": [blocks[0]],
        "record, MB": [maps + rest],
        "record of the whole model, MB": [edit.kind.maps / len(capture.attention) * maps + rest],
    }


def block_seconds(edit: BlockEdit) -> list[float]:
    """Of each block, in the first step, which computes what later ones replay."""
    blocks = edit.blocks()
    with timed(blocks) as spent:
        edit.sample(steps=ONE)
    return [spent[block] for block in blocks]


@contextmanager
def timed(layers: list[nn.Module]) -> Generator[dict[nn.Module, float], None, None]:
    """Within it, the seconds of each layer's last call."""
    spent: dict[nn.Module, float] = {}

    def timing(layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            wait()
            began = time.perf_counter()
            out = forward(*args, **kwargs)
            wait()
            spent[layer] = time.perf_counter() - began
            return out

        return call

    for layer in layers:
        layer.forward = timing(layer, layer.forward)
    try:
        yield spent
    finally:
        for layer in layers:
            del layer.forward


def recording_seconds(edit: BlockEdit, rounds: int) -> tuple[list[float], Any]:
    """What a recorded step takes beyond a plain one, both with the attention's output replayed; and its capture."""
    outputs: dict[tuple, Tensor] = {}

    def attention(function: Callable[..., Tensor], q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        key = (q.shape, k.shape)
        if key not in outputs:
            outputs[key] = function(q, k, *args, **kwargs)
        return outputs[key]

    plain, edit.model = edit.model, edit.model.clone()
    edit.model.model_options["transformer_options"]["optimized_attention_override"] = attention
    actions = {"plain": lambda: edit.sample(steps=ONE), "recorded": lambda: edit.probe(1)}
    in_turn(actions, 1)  # what only a first step does
    times, capture = in_turn(actions, rounds), edit.probe(1)[0]
    edit.model = plain
    return [a - b for a, b in zip(times["recorded"], times["plain"], strict=True)], capture


def regularising_seconds(edit: BlockEdit, rounds: int) -> dict[str, list[float]]:
    """What a regularised step takes beyond a plain one, by the region."""
    models = {f"regularising {percent} %": edit.regularized(square(edit.side, percent)) for percent in (10, 100)}
    actions: dict[str, Callable[[], Any]] = {"plain": lambda: edit.sample(steps=ONE)}
    actions |= {name: lambda model=model: edit.sample(model, ONE) for name, model in models.items()}
    times = in_turn(actions, rounds)
    return {name: [a - b for a, b in zip(times[name], times["plain"], strict=True)] for name in models}


def square(side: int, percent: float) -> Tensor:
    """MASK [1, side, side] of a square in a corner with that share of the picture."""
    mask, edge = torch.zeros(1, side, side), round(side * (percent / 100) ** 0.5)
    mask[:, :edge, :edge] = 1
    return mask


def table(name: str, edit: BlockEdit, measured: dict[str, list[float]]) -> tuple[dict[str, Any], list[str]]:
    """(the block of a results file, which bounds are missed)."""
    rows, missed = {}, []
    for figure, samples in measured.items():
        bound, meaning = FIGURES[figure]
        bound = BOUNDS.get((name, figure), bound)
        result = Figure.of(samples, bound)
        cell = {"value": result.value} | ({"low": result.low, "high": result.high} if len(samples) > 1 else {})
        rows[figure] = {"value": cell, "bound": "" if bound is None else f"{bound:g}", "what": meaning}
        print(f"{name}: {figure:32}{result.value:9.4f}  [{result.low:.4f}, {result.high:.4f}]", flush=True)
        missed += [f"{name}: {figure}"] if result.missed else []
    tokens = edit.kind.text[0]
    return {"title": name, "note": f"{edit.side} px, {tokens} tokens of text.", "rows": rows}, missed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "families.json", help="default: %(default)s")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=1024, help="pixels of the pictures; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="narrow blocks, 256 px, one round: no verdict")
    options = parser.parse_args(arguments)
    side, rounds = (256, 1) if options.quick else (options.side, options.rounds)
    blocks, missed = [], []
    with torch.inference_mode():
        for name in options.models:
            edit = BlockEdit(name, side, narrow=options.quick)
            block, late = table(name, edit, costs(edit, rounds))
            blocks.append(block)
            missed += late
            write_results(options.out, command_of(parser), {"blocks": blocks}, attention=host().attention)
    if options.quick:
        return 0
    for name in missed:
        print(f"missed: {name}", file=sys.stderr)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
