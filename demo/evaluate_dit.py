"""How well the demo's DiT edits, on scenes it has not seen: `python -m demo.evaluate_dit`.

Success is judged as for the demo model (`demo.evaluate`). Tables: edits in few and many steps, plain and with this
pack; regions by every witness (`Settings.witness`), by layers and by the step they are recorded in.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .edits import FIRST_SEED, Guidance, for_each, held_out_scene
from .edits_dit import DiTEdit
from .evaluate import inside_distance, iou, outside_change, succeeded
from .figures import RESULTS, command_of, interval, write_results
from .scenes import KINDS, Scene
from .witnesses_dit import BY_WORDS, LAYERS, WITNESSES, Witnesses

USED = "estimate"  # the witness of the edits, which is the default on transformers
SHARE = 11  # of the probe, in steps of 30, as recommended
SHARES = (2, 5, SHARE, 20)
PLAIN, UNPASTED = "plain", "outside before pasting"
PERFECT = "wanted latent, true region"
AUTOENCODER = "the autoencoder alone"
LEFT = "Change outside before pasting, as a share of plain's"
NOTES = {
    "Region IoU by witness": "At the recommended threshold, which was chosen for the demo model's attention: of a flat "
    "map it takes in the whole picture.",
    "IoU of the hottest segment by witness": "Whatever the threshold is.",
    LEFT: "Means of what lies above the autoencoder's change, as a share of the plain edit's; a dash where that is 0. "
    f"{PERFECT.capitalize()}: no model edits, the wanted picture's latent stands inside and the source's outside.",
}


class Plan(NamedTuple):
    """What is measured of a scene. The last schedule and the first guidance show layers and steps."""

    steps: tuple[int, ...]
    guidances: tuple[float, ...]
    folder: Path | None  # of the weights; None: those of the demo


class Cell(NamedTuple):
    """Where a figure stands."""

    table: str
    row: str
    column: str


@torch.inference_mode()
def measure(seed: int, plan: Plan) -> tuple[dict[Cell, float], float]:
    """The figures of one scene, and the seconds of a core that they took."""
    began, scene = time.process_time(), held_out_scene(seed)
    edit = DiTEdit(scene, seed, folder=plan.folder)
    decoded, perfect = by_the_autoencoder(edit)
    figures = {Cell("Edits", AUTOENCODER, "outside"): outside_change(decoded[0], scene)}
    for steps in plan.steps:
        for guidance in map(Guidance, plan.guidances):
            witnesses = Witnesses(scene, seed, steps, guidance, folder=plan.folder)
            regions = {name: witnesses.region(name) for name in WITNESSES}
            column = f"{steps} steps, guidance {guidance.text:g}"
            figures |= {
                Cell("Region IoU by witness", name, column): iou(region, scene.region)
                for name, region in regions.items()
            }
            figures |= {
                Cell("IoU of the hottest segment by witness", name, column): iou(
                    witnesses.region(name, threshold=1.0), scene.region
                )
                for name in WITNESSES
            }
            ways = f"{steps} steps, of the probe {witnesses.probe_steps}, guidance {guidance.text:g}"
            for way, pictures in edits(witnesses.edits[USED], guidance, regions[USED], perfect):
                figures |= {Cell("Edits", f"{ways}: {way}", name): f for name, f in judged(*pictures, scene).items()}
    figures |= dict(by_layers_and_steps(scene, seed, plan))
    return figures, time.process_time() - began


def by_the_autoencoder(edit: DiTEdit) -> tuple[Tensor, Tensor]:
    """What it leaves of the source, and what LIME Keep Outside gives at best: pictures [1, H, W, 3].

    At best: the wanted picture's latent inside the true region, the source's outside.
    """
    vae, ops = edit.lime.vae, edit.lime.ops
    source, wanted = (vae.encode(picture[None]) for picture in (edit.scene.source, edit.scene.wanted))
    inside = ops.widen_region(edit.scene.region[None].float(), wanted.shape[-2:])
    return vae.decode(source), vae.decode(ops.keep_outside(wanted, source, inside))


def edits(
    edit: DiTEdit, guidance: Guidance, found: Tensor, perfect: Tensor
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Each way to edit, with its picture [H, W, 3] and the same before it is pasted back."""
    found, true = found[None], edit.scene.region[None]
    plain = edit.from_start(guidance)
    yield PLAIN, (plain[0], plain[0])
    for way, mask, picture in (
        ("one pass", found, edit.from_probe(guidance, edit.localized(found))),
        ("two passes", found, edit.from_start(guidance, edit.localized(found))),
        ("one pass, true region", true, edit.from_probe(guidance, edit.localized(true))),
        (PERFECT, true, perfect),
    ):
        yield way, (edit.pasted(picture, mask)[0], picture[0])


def judged(picture: Tensor, unpasted: Tensor, scene: Scene) -> dict[str, float]:
    return {
        "success": float(succeeded(picture, scene)),
        "inside": inside_distance(picture, scene),
        "outside": outside_change(picture, scene),
        UNPASTED: outside_change(unpasted, scene),
    }


def by_layers_and_steps(scene: Scene, seed: int, plan: Plan) -> Iterator[tuple[Cell, float]]:
    """IoU of the regions of some layers, and of other steps' records."""
    steps, guidance = plan.steps[-1], Guidance(plan.guidances[0])
    where = f"{steps} steps, guidance {guidance.text:g}"
    records = {share: Witnesses(scene, seed, steps, guidance, share, plan.folder) for share in SHARES}
    for record in records.values():
        for name in WITNESSES:
            found = iou(record.region(name), scene.region)
            yield Cell(f"Region IoU by the recorded step, {where}", f"step {record.probe_steps}", name), found
    for row, layers in LAYERS.items():
        for name in (*BY_WORDS, "mixture"):
            found = iou(records[SHARE].region(name, layers), scene.region)
            yield Cell(f"Region IoU by layers, {where}", row, name), found


def tables(measured: Sequence[dict[Cell, float]], kinds: list[str]) -> list[dict[str, Any]]:
    """Means with intervals, and the share of plain edits that succeed by kind."""
    blocks: dict[str, dict[str, dict[str, Any]]] = {}
    for cell in measured[0]:
        row = blocks.setdefault(cell.table, {}).setdefault(cell.row, {})
        row[cell.column] = interval([scene[cell] for scene in measured])
    plain = [cell for cell in measured[0] if cell.row.endswith(PLAIN) and cell.column == "success"]
    blocks["Share of plain edits that succeed, by kind"] = {
        cell.row.removesuffix(f": {PLAIN}"): _by_kind(measured, kinds, cell) for cell in plain
    }
    blocks[LEFT] = {
        cell.row: _left(measured, kinds, cell)
        for cell in measured[0]
        if cell.table == "Edits" and cell.column == UNPASTED and not cell.row.endswith(PLAIN)
    }
    notes = {title: {"note": note} for title, note in NOTES.items()}
    return [{"title": title, **notes.get(title, {}), "rows": rows} for title, rows in blocks.items()]


def _by_kind(measured: Sequence[dict[Cell, float]], kinds: list[str], cell: Cell) -> dict[str, Any]:
    values = {kind: [m[cell] for m, k in zip(measured, kinds, strict=True) if k == kind] for kind in KINDS}
    return {kind: interval(some) for kind, some in values.items() if len(some) > 1}


def _left(measured: Sequence[dict[Cell, float]], kinds: list[str], cell: Cell) -> dict[str, Any]:
    """Of all scenes and by kind."""
    plain, floor = Cell("Edits", f"{cell.row.split(': ')[0]}: {PLAIN}", UNPASTED), Cell("Edits", AUTOENCODER, "outside")
    shares = {}
    for name in ("all", *dict.fromkeys(kinds)):
        some = [m for m, kind in zip(measured, kinds, strict=True) if name in ("all", kind)]
        left, all_of_it = (sum(m[c] - m[floor] for m in some) for c in (cell, plain))
        shares |= {name: {"value": left / all_of_it}} if all_of_it > 0 else {}
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate_dit", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help=f"first scene; {FIRST_SEED} and on are reported")
    parser.add_argument("--steps", type=int, nargs="+", default=(4, 8, 20), help="of the schedules; default: 4 8 20")
    parser.add_argument("--guidances", type=float, nargs="+", default=(1.0, 2.0), help="default: 1 2")
    parser.add_argument("--weights", type=Path, help="folder of the weights; default: demo/weights_dit")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "dit.json", help="default: benchmarks/results/dit.json")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.scenes)
    plan = Plan(tuple(options.steps), tuple(options.guidances), options.weights)
    measured, seconds = zip(*for_each(partial(measure, plan=plan), seeds, options.processes), strict=True)
    blocks = tables(measured, [held_out_scene(seed).kind for seed in seeds])
    for block in blocks:
        print(block["title"])
        for row, cells in block["rows"].items():
            print(f"  {row:55}", *(f"{name} {cell['value']:.3f}" for name, cell in cells.items()), sep="  ")
    print(f"{sum(seconds) / len(seconds):.1f} s of a core for each scene")
    write_results(options.out, command_of(parser), {"blocks": blocks}, scenes=options.scenes)


if __name__ == "__main__":
    main()
