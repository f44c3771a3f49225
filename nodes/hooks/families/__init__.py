"""What is true of one family of models only: one module a family, behind the same names.

A family says which blocks there are (`blocks`, and each one's `KINDS` of attention), which of their layers count
(`recorded`, `regularized`), how to get between them and the host (`with_attention`, `with_output`), which latent a
conditioning carries as the picture to edit (`source`), which text encoder's tokens are the columns of the text axis
(`ENCODERS`) and how many picture pixels a latent pixel is (`pixels`).
"""

from collections.abc import Iterable

import comfy.model_patcher
from torch import Tensor

from .unet import Call, UNet

__all__ = ["Call", "UNet", "family_of", "find_source", "text_encoder"]

FAMILIES = (UNet,)


def family_of(model: comfy.model_patcher.ModelPatcher) -> UNet:
    """The family of a model. Raises ValueError when it has none that LIME knows."""
    network = model.get_model_object("diffusion_model")
    for family in FAMILIES:
        if found := family.of(model):
            return found
    raise ValueError(
        f"{type(network).__name__} has no cross-attention: LIME expected a UNet of the SD1.5 or SDXL kind "
        "(InstructPix2Pix, CosXL Edit). Load such a checkpoint."
    )


def find_source(conds: Iterable[list[dict] | None]) -> Tensor | None:
    """The latent of the picture to edit that a conditioning carries, [B, C, h, w] as the autoencoder gave it."""
    carried = (family.source(c) for family in FAMILIES for cond in conds for c in cond or [])
    return next((latent for latent in carried if latent is not None), None)


def text_encoder(tokens: dict[str, list]) -> str:
    """Which of a tokenization's encoders has the columns of the text axis."""
    known = (name for family in FAMILIES for name in family.ENCODERS if name in tokens)
    return next(known, next(iter(tokens)))
