"""Scenes edited with the demo's DiT as a graph edits them with FLUX.1 Kontext: the host's nodes, and this pack's."""

from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from .edits import STEPS, Guidance, SceneEdit, with_tools
from .host import load_pack
from .scenes import Scene

if TYPE_CHECKING:
    from lime_ops import Settings

UNGUIDED = Guidance(1.0)


@cache
def _loaded(folder: Path | None) -> SimpleNamespace:
    """As with the demo model; folder: of the weights, None: those that come with the demo."""
    load_pack()
    from .model_dit import DIT, load_dit

    return with_tools(partial(load_dit, folder or DIT))


class DiTEdit(SceneEdit):
    """One scene, edited with the DiT. Of a guidance only the text's counts: BasicGuider at 1, else CFGGuider."""

    SCHEDULER: ClassVar[str] = "simple"

    def __init__(
        self,
        scene: Scene,
        seed: int,
        settings: "Settings | None" = None,
        folder: Path | None = None,
        guidance: Guidance = UNGUIDED,
        steps: int = STEPS,
    ) -> None:
        self.folder = folder
        super().__init__(scene, seed, settings, guidance, steps)

    def _load(self) -> SimpleNamespace:
        return _loaded(self.folder)

    def _with_source(self, conditioning: list) -> tuple[list, list, dict]:
        source = {"samples": self.lime.vae.encode(self.picture)}
        text, image = (self.lime.edit_model.ReferenceLatent.execute(c, source)[0] for c in (conditioning, self.empty))
        return text, image, {"samples": torch.zeros_like(source["samples"])}

    def guider(self, guidance: Guidance = UNGUIDED, model: Any = None) -> Any:
        model = model or self.model
        if guidance.text == 1:
            return self.lime.custom.BasicGuider.execute(model, self.text)[0]
        return self.lime.custom.CFGGuider.execute(model, self.text, self.image, guidance.text)[0]
