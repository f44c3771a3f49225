"""Lumina 2 and Z-Image: the latter pads text and picture to multiples of 32."""

from typing import ClassVar

from .joint import Joint


class Lumina(Joint):
    """References (Z-Image's "omni") bring texts and padding of their own: such a sequence is refused by its length."""

    NETWORK: ClassVar[str] = "comfy.ldm.lumina.model.NextDiT"
    ENCODERS: ClassVar[tuple[str, ...]] = ("qwen3_4b", "gemma2_2b")
    REFERENCES_FIRST: ClassVar[bool] = True
