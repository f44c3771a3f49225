"""Regions and edits on photographic scenes: `python -m benchmarks.photographs`.

The same methods and measures as on flat scenes (benchmarks.quality). Half of what the demo model was trained on is
photographic scenes, of other photographs; its autoencoder was trained on flat ones.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.drawing import draw_sheet
from benchmarks.methods import ONE_PASS, PLAIN, PUBLISHED_LIME, TRUE, TWO_PASSES, Method, edit_scene, found_with
from benchmarks.report import table
from benchmarks.summary import Figures, by_kind, measure, rows
from demo.edits import FIRST_SEED, SceneEdit, for_each
from demo.evaluate import succeeded
from demo.figures import RESULTS, command_of, interval, write_results
from demo.host import PACK
from demo.photographs import held_out_photo_scene

REFERENCE = "this pack, one pass"
METHODS: Mapping[str, Method] = {
    "plain": PLAIN,
    "published LIME": PUBLISHED_LIME,
    REFERENCE: ONE_PASS,
    "this pack, two passes": TWO_PASSES,
    "one pass, outlines not followed": found_with(follow_outlines=False),
    "one pass, true region": Method(region=TRUE),
}
SHOWN = ("plain", REFERENCE)
WANTED = "success, the wanted picture encoded and decoded"
SHEET_ROWS = 12


@torch.inference_mode()
def autoencoder(seed: int) -> dict[str, float]:
    """What the autoencoder makes of the wanted picture: no edit can come nearer to it."""
    edit = SceneEdit(held_out_photo_scene(seed), seed)
    wanted = edit.scene.wanted
    decoded = edit.lime.vae.decode(edit.lime.vae.encode(wanted[None]))[0]
    psnr = -10 * math.log10((decoded - wanted).square().mean())
    return {"success": float(succeeded(decoded, edit.scene)), "PSNR, dB": psnr}


def blocks(measured: dict[str, Figures], kinds: list[str], decoded: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Tables of whole methods and of the kinds of edit."""
    return [
        {"title": "Whole methods, photographic scenes", "rows": rows(measured, REFERENCE)},
        {
            "title": "Photographic scenes by kind of edit",
            "rows": {
                "RoI IoU, published LIME": by_kind(measured["published LIME"]["roi_iou"], kinds),
                f"RoI IoU, {REFERENCE}": by_kind(measured[REFERENCE]["roi_iou"], kinds),
                "success, plain": by_kind(measured["plain"]["success"], kinds),
                f"success, {REFERENCE}": by_kind(measured[REFERENCE]["success"], kinds),
                WANTED: by_kind(np.array([figures["success"] for figures in decoded]), kinds),
            },
        },
        {
            "title": "The autoencoder on photographic scenes",
            "rows": {"the wanted picture": {name: interval([d[name] for d in decoded]) for name in decoded[0]}},
        },
    ]


def draw(seeds: range, path: Path) -> None:
    """The sheet of the first scenes: regions beside the edits."""
    scenes, shown = [held_out_photo_scene(seed) for seed in seeds], {name: METHODS[name] for name in SHOWN}
    pictures = []
    for seed, scene in zip(seeds, scenes, strict=True):
        edited = edit_scene(seed, shown, True, held_out_photo_scene)
        masks = {"true region": scene.region.numpy(), "region found": edited[REFERENCE]["mask"]}
        images = {name: np.repeat(mask[..., None].astype(np.float32), 3, -1) for name, mask in masks.items()}
        pictures.append(images | {name: figures["picture"] for name, figures in edited.items()})
    draw_sheet(scenes, list(seeds), pictures, path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS / "photographs.json", help="default: in benchmarks/results")
    parser.add_argument("--pictures", type=Path, default=PACK / "docs", help="folder of photographs_sheet.png")
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.scenes)
    measured = measure(METHODS, seeds, held_out_photo_scene)
    kinds = [held_out_photo_scene(seed).kind for seed in seeds]
    tables = blocks(measured, kinds, for_each(autoencoder, seeds))
    write_results(options.out, command_of(parser), {"blocks": tables}, scenes=options.scenes)
    print(*map(table, tables), sep="\n")
    draw(seeds[:SHEET_ROWS], options.pictures / "photographs_sheet.png")


if __name__ == "__main__":
    main()
