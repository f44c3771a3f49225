"""Any other model: its predictions are known, its attention is not."""

from collections.abc import Callable
from typing import ClassVar

import comfy.model_patcher
from torch import Tensor

from .family import Around, Family
from .joint import Joint
from .unet import UNet


class Other(Family):
    """A model of which only the predictions can be read and changed."""

    REACHED: ClassVar[bool] = False

    @classmethod
    def of(cls, model: comfy.model_patcher.ModelPatcher) -> "Other":
        return cls(8)  # pixels of nearly all

    @staticmethod
    def source(conditioning: dict) -> Tensor | None:
        """As either kind of model takes it."""
        carried = (kind.source(conditioning) for kind in (Joint, UNet))
        return next((latent for latent in carried if latent is not None), None)

    def with_attention(self, model_options: dict, around: Around) -> dict:
        return model_options

    def with_output(self, model_options: dict, output: Callable) -> dict:
        return model_options
