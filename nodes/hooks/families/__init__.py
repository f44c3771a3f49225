"""What is true of one family of models only: one module a family, each a `Family`; and of text encoders."""

import comfy.model_patcher

from .chroma import Chroma
from .encoders import cut_at_the_end, text_encoder
from .family import Call, Family, Size
from .flux import Flux
from .lumina import Lumina
from .mage_flow import MageFlow
from .omnigen import OmniGen
from .other import Other
from .qwen import Qwen
from .unet import UNet

__all__ = [
    "FAMILIES",
    "Call",
    "Family",
    "Size",
    "cut_at_the_end",
    "family_of",
    "latent_pixels",
    "text_encoder",
]

FAMILIES: tuple[type[Family], ...] = (Flux, Chroma, Qwen, MageFlow, Lumina, OmniGen, UNet)


def family_of(model: comfy.model_patcher.ModelPatcher) -> Family:
    """The family of a model; `Other` when LIME knows only its predictions."""
    found = (family.of(model) for family in FAMILIES)
    return next((family for family in found if family is not None), Other.of(model))


def latent_pixels(model: comfy.model_patcher.ModelPatcher) -> int:
    """Picture pixels to a latent pixel, each way; the family's where the host does not say (0.3.75)."""
    return getattr(model.get_model_object("latent_format"), "spacial_downscale_ratio", family_of(model).pixels)
