"""Regions and plain edits of the demo model on photographic scenes: `python -m benchmarks.photographs`.

Success is judged as for flat scenes (`demo.evaluate`). The demo model and its autoencoder were trained on flat scenes.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from benchmarks.drawing import draw_sheet
from demo.edits import FIRST_SEED, SceneEdit, for_each
from demo.evaluate import iou, outside_change, succeeded
from demo.figures import RESULTS, command_of, interval, write_results
from demo.photographs import PHOTO_KINDS, make_photo_scene
from demo.scenes import Scene


def photographic_scene(seed: int) -> Scene:
    """A scene of the photographs, pairs and wordings that are kept for evaluation; all kinds of edit in turn."""
    return make_photo_scene(seed, "held_out", PHOTO_KINDS[seed % len(PHOTO_KINDS)])


@torch.inference_mode()
def measure(seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The figures of one scene, and its pictures."""
    scene = photographic_scene(seed)
    edit = SceneEdit(scene, seed)
    plain, region = edit.from_start()[0], edit.region[0]
    round_trip = edit.lime.vae.decode(edit.lime.vae.encode(edit.picture))[0]
    figures = {
        "autoencoder_psnr_db": -10 * math.log10((round_trip - scene.source).square().mean()),
        "success": succeeded(plain, scene),
        "outside_change": outside_change(plain, scene),
        "region_iou": iou(region, scene.region),
    }
    pictures = {"region": scene.region, "region found": region, "plain edit": plain}
    return figures, {name: _as_picture(picture) for name, picture in pictures.items()}


def _as_picture(picture: torch.Tensor) -> np.ndarray:
    return picture.float().expand(3, -1, -1).movedim(0, -1).numpy() if picture.ndim == 2 else picture.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help=f"first scene; {FIRST_SEED} and on are reported")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sheet", type=Path, help="draw the first twelve scenes into this PNG")
    parser.add_argument("--out", type=Path, default=RESULTS / "photographs.json", help="default: in benchmarks/results")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.scenes)
    measured, scenes = for_each(measure, seeds, options.processes), [photographic_scene(seed) for seed in seeds]
    figures = {name: interval([m[name] for m, _ in measured]) for name in measured[0][0]}
    for kind in PHOTO_KINDS:
        of_kind = [m["region_iou"] for (m, _), scene in zip(measured, scenes, strict=True) if scene.kind == kind]
        figures |= {f"region_iou_{kind}": interval(of_kind)} if of_kind else {}
    for name, figure in figures.items():
        print(f"{name:40}{figure['value']:8.3f} [{figure['low']:.3f}, {figure['high']:.3f}]")
    write_results(options.out, command_of(parser), figures, scenes=options.scenes)
    if options.sheet:
        draw_sheet(scenes[:12], list(seeds[:12]), [pictures for _, pictures in measured[:12]], options.sheet)


if __name__ == "__main__":
    main()
