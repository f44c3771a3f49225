"""What the pack costs beside the sampling itself: `python -m benchmarks.speed --out benchmarks/results/speed.json`.

SD1.5's InstructPix2Pix at its real size with random weights and the nodes' defaults; what each figure is: `FIGURES`.
Exits with 1 when a bound is missed. `--quick` only shows that everything runs: a small model, one round, no verdict.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from demo.figures import command_of, measured_on

from .clustering import LAYERS, Layers, clustering_costs
from .footprint import import_costs, memory
from .published_cost import published_cost
from .sd15 import CHANNELS, Edit, host, random_model
from .steps import edit_costs, step_costs
from .timing import Figure

FIGURES = {  # name: (bound, what it is)
    "step_6_percent": (1.02, "regularised step that keeps the outside / plain step, region of 6 % of the picture"),
    "step_50_percent": (1.02, "... 50 %"),
    "step_100_percent": (1.02, "... 100 %"),
    "step_soft": (1.02, "... a soft mask, a ramp from 0 to 1"),
    "whole_step_6_percent": (None, "... 6 %, by whole steps: as noisy as these are"),
    "recording_step": (1.05, "step that is recorded / plain step"),
    "plain_step_seconds": (None, "plain step, s"),
    "one_pass": (1.05, "edit in one pass, from the probe to pasting back / plain edit"),
    "two_passes": (1.42, "edit in two passes / plain edit"),
    "published_two_passes": (None, "the published method's computation, by its kinds of steps / plain edit"),
    "clustering": (0.01, "clustering / ten starts of scikit-learn's KMeans on the fused map, 512 px"),
    "clustering_seconds": (None, "clustering, s"),
    "record_mb": (40, "record of a probe at 512 px, MB"),
    "probe_peak_mb": (None, "peak of live tensors beyond a plain step's, probe to region, 512 px, MB"),
    "import_seconds": (0.1, "importing the pack in a host that has started, s"),
}
PARTS = ("import", "clustering", "memory", "steps", "published", "edits")


@dataclass(frozen=True)
class Size:
    """Of what is sampled; suffix: of its figures' names."""

    side: int  # picture pixels
    images: int = 1
    suffix: str = ""


@dataclass(frozen=True)
class Plan:
    """How much is measured. Rounds count what is measured in turn."""

    sizes: tuple[Size, ...]  # the first one has all figures
    edited: int = 1  # sizes that whole edits are measured at
    edit_steps: int = 30
    edit_rounds: int = 3
    rounds: int = 15  # of the pack's own time and of clustering
    more_rounds: int = 5  # of the other sizes' own time, of whole steps, of imports
    starts: int = 2  # of scikit-learn's K-means
    maps: Layers = LAYERS  # that are clustered
    memory_side: int = 512
    channels: int = CHANNELS  # of the model's finest layers


GPU = Plan((Size(512), Size(1024, suffix="_1024px"), Size(512, 4, "_batch_4")), edited=2)
# Of 11 steps the probe takes 4, as 11 of 30 to a half of a percent; what an edit pays once weighs thrice as much.
CPU = Plan((Size(256), Size(512, suffix="_512px"), Size(256, 4, "_batch_4")), edit_steps=11)
QUICK = Plan(
    sizes=(Size(128),),
    edit_steps=3,
    edit_rounds=1,
    rounds=1,
    more_rounds=1,
    starts=1,
    maps=((16, 32), (8, 64)),
    memory_side=128,
    channels=32,
)


class Report:
    """Figures, printed and written as they come, so that nothing is lost when a run ends early."""

    def __init__(self, meta: dict[str, Any], out: Path | None) -> None:
        self.meta, self.out, self.figures = meta, out, {}

    def add(self, costs: dict[str, list[float]], suffix: str = "") -> None:
        for name, samples in costs.items():
            figure = self.figures[name + suffix] = Figure.of(samples, FIGURES[name][0])
            print(_row(name + suffix, figure), flush=True)
        if self.out:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.out.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def as_json(self) -> dict[str, Any]:
        return {"meta": self.meta, **{name: figure._asdict() for name, figure in self.figures.items()}}

    def missed(self) -> list[str]:
        return [name for name, figure in self.figures.items() if figure.missed]


def _row(name: str, figure: Figure) -> str:
    bound = "" if figure.bound is None else f"  <= {figure.bound:g}" + ("  MISSED" if figure.missed else "")
    interval = f"[{figure.low:.4f}, {figure.high:.4f}] of {figure.rounds}"
    return f"{name:28}{figure.value:10.4f}  {interval}{bound}"


def measure(plan: Plan, parts: Sequence[str], report: Report) -> None:
    """Adds the figures of these PARTS to the report."""
    if "import" in parts:
        report.add(import_costs(plan.more_rounds))
    if "clustering" in parts:
        report.add(clustering_costs(plan.rounds, plan.starts, plan.maps))
    if not set(parts) - {"import", "clustering"}:
        return
    model = random_model(plan.channels)
    if "memory" in parts:
        report.add(memory(Edit(model, plan.memory_side)))
    for i, size in enumerate(plan.sizes):
        edit = Edit(model, size.side, size.images)
        if "steps" in parts:
            rounds, whole = (plan.more_rounds, 1) if i else (plan.rounds, plan.more_rounds)
            report.add(step_costs(edit, rounds, whole), size.suffix)
        if "published" in parts and i == 0:
            report.add(published_cost(edit, plan.edit_rounds))
        if "edits" in parts and i < plan.edited:
            report.add(edit_costs(Edit(model, size.side, size.images, plan.edit_steps), plan.edit_rounds), size.suffix)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--quick", action="store_true", help="a small model and one round: shows that everything runs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; default all")
    parser.add_argument("--rounds", type=int, help="of the pack's own time; default 15")
    parser.add_argument("--edits", type=int, help="rounds of whole edits; default 3")
    parser.add_argument("--steps", type=int, help="of a whole edit; default 11 on a CPU, 30 on a GPU, as the template")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else GPU if torch.cuda.is_available() else CPU
    given = {"rounds": options.rounds, "edit_rounds": options.edits, "edit_steps": options.steps}
    plan = replace(plan, **{name: value for name, value in given.items() if value is not None})
    meta = measured_on(command_of(parser)) | {"attention": host().attention, "edit_steps": plan.edit_steps}
    report = Report(meta, options.out)
    with torch.inference_mode():
        measure(plan, options.parts, report)
    if options.quick:
        return 0
    for name in report.missed():
        print(f"missed: {name}", file=sys.stderr)
    return int(bool(report.missed()))


if __name__ == "__main__":
    sys.exit(main())
