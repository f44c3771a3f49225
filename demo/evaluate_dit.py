"""How well the demo's DiT edits, on scenes it has not seen: `python -m demo.evaluate_dit`.

Success is judged as for the demo model (`demo.evaluate`). Regions are found by each witness.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from .edits import FIRST_SEED, Guidance, for_each, held_out_scene
from .edits_dit import DiTEdit
from .evaluate import inside_distance, iou, outside_change, succeeded
from .figures import RESULTS, command_of, interval, write_results
from .scenes import KINDS

WITNESSES = ("attention", "estimate")  # of where the edit belongs, see Settings.witness


@torch.inference_mode()
def measure(seed: int, guidance: float, folder: Path | None) -> dict[str, float]:
    """The figures of one scene."""
    scene = held_out_scene(seed)
    edit = DiTEdit(scene, seed, folder=folder)
    edited = edit.from_start(Guidance(guidance))[0]
    found = {
        witness: DiTEdit(scene, seed, replace(edit.lime.ops.RECOMMENDED, witness=witness), folder).region[0]
        for witness in WITNESSES
    }
    return {
        "success": succeeded(edited, scene),
        "inside_distance": inside_distance(edited, scene),
        "inside_distance_of_source": inside_distance(scene.source, scene),
        "outside_change": outside_change(edited, scene),
        **{f"region_iou_by_{witness}": iou(region, scene.region) for witness, region in found.items()},
    }


def summarise(measured: list[dict[str, float]], kinds: list[str]) -> dict[str, dict[str, float]]:
    """Means with intervals; success by kind of edit too."""
    figures = {name: interval([m[name] for m in measured]) for name in measured[0]}
    by_kind = {kind: [m["success"] for m, k in zip(measured, kinds, strict=True) if k == kind] for kind in KINDS}
    return figures | {f"success_{kind}": interval(values) for kind, values in by_kind.items() if values}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate_dit", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help=f"first scene; {FIRST_SEED} and on are reported")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--weights", type=Path, help="folder of the weights; default: demo/weights_dit")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "dit.json", help="default: benchmarks/results/dit.json")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.scenes)
    one = partial(measure, guidance=options.guidance, folder=options.weights)
    figures = summarise(for_each(one, seeds, options.processes), [held_out_scene(seed).kind for seed in seeds])
    for name, figure in figures.items():
        print(f"{name:40}{figure['value']:8.3f} [{figure['low']:.3f}, {figure['high']:.3f}]")
    write_results(options.out, command_of(parser), figures, scenes=options.scenes)


if __name__ == "__main__":
    main()
