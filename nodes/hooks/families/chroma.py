"""Chroma: Flux's blocks in a network of its own."""

from typing import ClassVar

from .joint import Joint


class Chroma(Joint):
    NETWORK: ClassVar[str] = "comfy.ldm.chroma.model.Chroma"
    ENCODERS: ClassVar[tuple[str, ...]] = ("t5xxl",)
