"""How well the demo model edits, on scenes it has not seen: `python -m demo.evaluate`."""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from .edits import FIRST_SEED, GUIDANCE, Guidance, SceneEdit, for_each, held_out_scene
from .figures import RESULTS, command_of, interval, write_results
from .scenes import KINDS, Scene

LEAK_GUIDANCE = (GUIDANCE.text, 3.0, 5.0, 7.5)
BORDER = 2  # pixels around the region that count neither as inside nor as outside


def outside_change(picture: Tensor, scene: Scene) -> float:
    """Mean absolute change of a picture [H, W, 3] outside the scene's region and its border, in [0, 1]."""
    grown = torch.nn.functional.max_pool2d(scene.region[None].float(), 2 * BORDER + 1, 1, BORDER)[0] > 0
    return (picture - scene.source).abs()[~grown].mean().item()


def inside_distance(picture: Tensor, scene: Scene) -> float:
    """Mean absolute distance of a picture [H, W, 3] to the wanted one inside the scene's region, in [0, 1]."""
    return (picture - scene.wanted).abs()[scene.region].mean().item()


def succeeded(picture: Tensor, scene: Scene) -> bool:
    """Whether the picture has come, inside the region, at least half the way from the source to the wanted one."""
    return inside_distance(picture, scene) <= 0.5 * inside_distance(scene.source, scene)


def iou(found: Tensor, region: Tensor) -> float:
    """Intersection over union of bool masks [H, W]; 0 when both are empty."""
    return ((found & region).sum() / (found | region).sum().clamp_min(1)).item()


@torch.inference_mode()
def measure(seed: int) -> dict[str, float]:
    """All figures of one scene."""
    scene = held_out_scene(seed)
    edit = SceneEdit(scene, seed)
    # The hottest segment alone, as it was cut: what features and attention give before anything is chosen.
    best = SceneEdit(scene, seed, replace(edit.lime.ops.RECOMMENDED, threshold=1.0, follow_outlines=False))
    round_trip = edit.lime.vae.decode(edit.lime.vae.encode(edit.picture))[0]
    pictures = {text: edit.from_start(Guidance(text))[0] for text in LEAK_GUIDANCE}
    return {
        "autoencoder_psnr_db": -10 * math.log10((round_trip - scene.source).square().mean()),
        "autoencoder_outside_change": outside_change(round_trip, scene),
        "success": succeeded(pictures[GUIDANCE.text], scene),
        "hottest_segment_iou": iou(best.region[0], scene.region),
        **{
            f"outside_change_at_text_guidance_{text:g}": outside_change(picture, scene)
            for text, picture in pictures.items()
        },
    }


def summarise(measured: list[dict[str, float]], kinds: list[str]) -> dict[str, dict[str, float]]:
    """Means with intervals; success by kind of edit, and segments for edits of one object."""

    def mean(name: str, *chosen: str) -> dict[str, float]:
        return interval([m[name] for m, kind in zip(measured, kinds, strict=True) if kind in chosen])

    objects = [kind for kind in KINDS if kind != "background"]
    figures = {name: mean(name, *KINDS) for name in measured[0] if name != "hottest_segment_iou"}
    figures["hottest_segment_iou"] = mean("hottest_segment_iou", *objects)
    return figures | {f"success_{kind}": mean("success", kind) for kind in KINDS}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS / "demo.json", help="default: benchmarks/results/demo.json")
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.scenes)
    figures = summarise(for_each(measure, seeds), [held_out_scene(seed).kind for seed in seeds])
    for name, figure in figures.items():
        print(f"{name:40}{figure['value']:8.3f} [{figure['low']:.3f}, {figure['high']:.3f}]")
    write_results(options.out, command_of(parser), figures, scenes=options.scenes)


if __name__ == "__main__":
    main()
