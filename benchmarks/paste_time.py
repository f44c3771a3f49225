"""Seconds and memory of one whole paste on one core, and memory of finding and editing a region before it, as JSON:
`python -m benchmarks.paste_time MEGAPIXELS ROUNDS`.
"""

import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from demo.edits import FIRST_SEED as FIRST_SCENE
from demo.edits import SceneEdit, held_out_scene
from demo.host import load_pack
from lime_ops.photograph import paste_back

from .paste_cases import make_case

FIRST_SEED = 90_000
INSIDE = (0.40, 0.50)  # of the picture: as much as an edited object takes


def main(megapixels: float, rounds: int) -> None:
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    drifts = ("shift", "zoom", "gain", "gamma", "blur")
    warm = (make_case(seed, drifts, megapixels=2) for seed in range(FIRST_SEED, FIRST_SEED + 1000))
    seed, first = next((i, c) for i, c in enumerate(warm, FIRST_SEED) if INSIDE[0] <= c.mask.mean() <= INSIDE[1])
    paste_back(first.photograph, first.edit, first.mask)  # imports and first calls
    case = make_case(seed, drifts, megapixels=megapixels)
    times, extra, said = [], [], ""
    for _ in range(rounds):
        before, began = _start_peak(), time.perf_counter()
        pasted, (said,) = paste_back(case.photograph, case.edit, case.mask)
        times.append(time.perf_counter() - began)
        extra.append(_memory("VmHWM") - before - pasted.nbytes / 2**20)
        del pasted
    found = {
        "seconds": round(statistics.median(times), 3),
        "extra_memory_mb": round(max(extra)),
        "region_memory_mb": round(region_memory(case.photograph[0, ..., 0].numel())),
        "size": list(case.photograph.shape[1:3]),
        "edit": list(case.edit.shape[1:3]),
        "mask_share": round(float(case.mask.mean()), 2),
        "said": said,
    }
    print(json.dumps(found))


@torch.inference_mode()
def region_memory(pixels: int) -> float:
    """MB beyond a square photograph of so many pixels, from a probe's record to an edit sampled in the region's mask.

    The mask, 4 bytes a pixel, and the previews are counted. The record is the demo model's.
    """
    photograph = torch.rand(1, *[math.isqrt(pixels)] * 2, 3)
    nodes: dict[str, Any] = load_pack()
    edit = SceneEdit(held_out_scene(FIRST_SCENE), 0)
    capture, _ = edit.probed
    edit.from_probe(model=edit.localized(edit.region))  # imports and first calls
    tokens = edit.lime.text.choose_words(edit.instruction)
    before = _start_peak()
    capture = capture._replace(picture=photograph)
    segments = nodes["LIMEFeatureCluster"].execute(capture, edit.settings.clusters, 0)[0]
    mask = nodes["LIMEAttentionRoI"].execute(capture, segments, tokens)[0]
    edit.from_probe(model=edit.localized(mask))
    return _memory("VmHWM") - before


def _start_peak() -> float:
    """MB in use, from which the peak starts anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> float:
    """MB, from the kernel's table of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
