"""Flux.1 and Kontext, Flux.2 and Klein, LongCat: one network in the host."""

from typing import ClassVar

from .joint import Joint


class Flux(Joint):
    """Flux.2 puts its padding before the text, and has no autoencoder pixels to pack."""

    NETWORK: ClassVar[str] = "comfy.ldm.flux.model.Flux"
    ENCODERS: ClassVar[tuple[str, ...]] = ("t5xxl",)
