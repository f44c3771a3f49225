"""Regions that each witness finds on the demo's DiT; see Settings.witness."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from .edits import Guidance
from .edits_dit import UNGUIDED, DiTEdit
from .host import load_pack, pack_module
from .scenes import Scene

BY_WORDS = ("attention", "joint attention", "outputs")  # witnesses that have a map a layer
WITNESSES = (*BY_WORDS, "estimate", "mixture")
LAYERS = {  # of model_dit.FLUX_CONFIG: two double blocks, four single ones
    "all": range(6),
    "double blocks": range(2),
    "single blocks": range(2, 6),
    **{f"layer {i + 1}": range(i, i + 1) for i in range(6)},
}


class Witnesses:
    """What every witness records in the probe of one scene, and the segments that they share.

    share: of the probe in a schedule, as `Settings.steps` of 30; None: RECOMMENDED.
    """

    def __init__(
        self,
        scene: Scene,
        seed: int,
        steps: int,
        guidance: Guidance = UNGUIDED,
        share: int | None = None,
        folder: Path | None = None,
    ) -> None:
        def edit(witness: Any) -> DiTEdit:
            settings = replace(recommended, witness=witness, layers_apart=True)
            return DiTEdit(scene, seed, settings, folder, guidance, steps)

        load_pack()
        recommended = pack_module("lime_ops").RECOMMENDED
        recommended = replace(recommended, steps=share or recommended.steps)
        mixture = edit("mixture")  # records what "attention" and "estimate" do
        self.edits = {name: mixture for name in WITNESSES} | {
            name: edit(name) for name in ("joint attention", "outputs")
        }
        self.segments = mixture.lime.region.segment(mixture.probed[0], mixture.settings, seed=0)

    @property
    def probe_steps(self) -> int:
        return self.edits["mixture"].settings.steps

    def region(self, witness: Any, layers: Iterable[int] = LAYERS["all"], **choices: Any) -> Tensor:
        """Bool [H, W]. layers: whose maps count, of those of BY_WORDS and "mixture". choices: other Settings."""
        edit = self.edits[witness]
        capture = edit.probed[0]
        change = None if witness in BY_WORDS else capture.change
        capture = capture._replace(attention=tuple(capture.attention[i] for i in layers), change=change)
        settings = replace(edit.settings, witness=witness, **choices)
        return edit.lime.region.locate(capture, self.segments._replace(capture=capture), edit.tokens, settings)[0][0]
