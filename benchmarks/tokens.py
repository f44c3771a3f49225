"""Which tokens regularising should silence, on the miniature that needs guidance: `python -m benchmarks.tokens`.

Edits are regularised and nothing else: the outside is neither kept nor pasted, so that what moves is regularising's
doing. Every row is one edit of each scene, with the same noise.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import combinations
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from demo.edits import FIRST_SEED, Guidance, SceneEdit, for_each, held_out_scene, with_tools
from demo.evaluate import inside_distance, iou, outside_change, succeeded
from demo.figures import RESULTS, command_of, interval, write_results
from demo.host import load_pack

GROUPS = ("start", "function words", "end", "padding")
BASE = ("start", "function words")
COMPARED = ("success", "inside", "outside")
TITLE = "Regularising on the miniature that needs guidance"
NOTE = (
    "Euler, 12 steps, image guidance 1. Silenced: tokens that may not act inside the region; function words are all "
    "but the chosen ones. Regions are true where nothing else is said. RoI IoU: of the region that one pass finds. "
    "Differences are from the plain edit at the same guidance."
)


class Way(NamedTuple):
    """One way to regularise."""

    guidance: float = 3.0
    silenced: tuple[str, ...] = BASE
    instruction_only: bool = True
    strength: float = 0.9
    end_percent: float = 0.9
    found: bool = False  # the region is the one found, else the true one

    @property
    def name(self) -> str:
        """The table's row."""
        told = [f"guidance {self.guidance:g}", f"{' + '.join(self.silenced)} silenced"]
        told += [] if self.instruction_only else ["all branches"]
        told += [] if self.strength == 0.9 else [f"strength {self.strength:g}"]
        told += [] if self.end_percent == 0.9 else [f"until {self.end_percent:g}"]
        return ", ".join(told + ["found region"] * self.found)


PLAIN = (1.5, 3.0, 5.0)  # guidances
WAYS = [
    *(Way(silenced=groups) for groups in [*combinations(GROUPS, 1), *combinations(GROUPS, 2)]),
    Way(instruction_only=False),
    Way(strength=1.0),
    Way(strength=1.0, instruction_only=False),
    Way(end_percent=0.5),
    Way(found=True),
    Way(silenced=("start", "function words", "padding"), instruction_only=False, strength=1.0),  # nearly as published
    Way(silenced=("start", "function words", "padding"), instruction_only=False),
    Way(guidance=1.5),
    Way(guidance=1.5, instruction_only=False),
]


@cache
def _loaded() -> SimpleNamespace:
    load_pack()
    from demo.model import GUIDED, load_demo_model

    return with_tools(partial(load_demo_model, GUIDED))


class GuidedEdit(SceneEdit):
    """A scene edited with the miniature that needs guidance."""

    def _load(self) -> SimpleNamespace:
        return _loaded()

    def without(self, silenced: tuple[str, ...]) -> Any:
        """The tokens with these groups unrelated."""
        tokens, instruction = self.tokens, self.instruction
        columns = set(range(len(tokens.unrelated)))
        acting = columns - set(tokens.unrelated.nonzero().flatten().tolist())
        groups = {"start": {0}, "function words": set(instruction.columns) - acting, "end": set(instruction.ends)}
        groups["padding"] = columns - {0} - set(instruction.columns) - set(instruction.ends)
        unrelated = torch.zeros_like(tokens.unrelated)
        unrelated[sorted(set().union(*(groups[name] for name in silenced)))] = True
        return tokens._replace(unrelated=unrelated)

    def regularized(self, way: Way, mask: Tensor) -> Any:
        choices = {name: getattr(way, name) for name in ("instruction_only", "strength", "end_percent")}
        settings = replace(self.settings, **choices)
        return self.lime.regularizer.regularize_model(self.model, mask.float(), self.without(way.silenced), settings)


@torch.inference_mode()
def measure(seed: int) -> dict[str, dict[str, float]]:
    """The figures of one scene, by rows."""
    scene = held_out_scene(seed)
    edit = GuidedEdit(scene, seed, probe_guidance=Guidance(Way().guidance))

    def edits() -> Iterator[tuple[str, Tensor]]:
        for guidance in PLAIN:
            yield f"plain, guidance {guidance:g}", edit.from_start(Guidance(guidance))
        for way in WAYS:
            mask = edit.region if way.found else scene.region[None]
            yield way.name, edit.from_start(Guidance(way.guidance), edit.regularized(way, mask))

    rows = {
        name: {
            "success": float(succeeded(picture[0], scene)),
            "inside": inside_distance(picture[0], scene),
            "outside": outside_change(picture[0], scene),
        }
        for name, picture in edits()
    }
    rows[Way(found=True).name]["roi_iou"] = iou(edit.region[0], scene.region)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tokens", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    options = parser.parse_args()
    measured = for_each(measure, range(FIRST_SEED, FIRST_SEED + options.scenes))
    rows: dict[str, dict[str, Any]] = {
        name: {figure: interval([scene[name][figure] for scene in measured]) for figure in measured[0][name]}
        for name in measured[0]
    }
    plain = {guidance: [scene[f"plain, guidance {guidance:g}"] for scene in measured] for guidance in PLAIN}
    for way in WAYS:
        pairs = list(zip((scene[way.name] for scene in measured), plain[way.guidance], strict=True))
        rows[way.name]["differences"] = {name: interval([a[name] - b[name] for a, b in pairs]) for name in COMPARED}
    for name, cells in rows.items():
        print(
            f"{name:75}",
            *(f"{figure} {cell['value']:.3f}" for figure, cell in cells.items() if figure != "differences"),
        )
    blocks = [{"title": TITLE, "note": NOTE, "rows": rows}]
    write_results(RESULTS / "tokens.json", command_of(parser), {"blocks": blocks}, scenes=options.scenes)


if __name__ == "__main__":
    main()
