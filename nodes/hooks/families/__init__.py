"""What is true of one family of models only: one module a family, behind the same names.

A family says which blocks there are (`blocks`, and each one's `KINDS` of attention), which of their layers count
(`recorded`, `regularized`), how to get between them and the host (`with_attention`, `with_output`), and which latent a
conditioning carries as the picture to edit (`source`).
"""

from collections.abc import Iterable

import comfy.model_patcher
from torch import Tensor

from .encoders import cut_at_the_end, text_encoder
from .unet import Call, UNet

__all__ = ["Call", "UNet", "cut_at_the_end", "family_of", "find_source", "latent_pixels", "text_encoder"]

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


def latent_pixels(model: comfy.model_patcher.ModelPatcher) -> int:
    """Picture pixels to a latent pixel, each way; 8 where the host does not say (0.3.75)."""
    return getattr(model.get_model_object("latent_format"), "spacial_downscale_ratio", 8)


def find_source(conds: Iterable[list[dict] | None]) -> Tensor | None:
    """The latent of the picture to edit that a conditioning carries, [B, C, h, w] as the autoencoder gave it."""
    carried = (family.source(c) for family in FAMILIES for cond in conds for c in cond or [])
    return next((latent for latent in carried if latent is not None), None)
