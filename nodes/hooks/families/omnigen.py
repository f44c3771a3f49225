"""OmniGen2: the picture that is sampled comes last."""

from typing import ClassVar

from .joint import Joint


class OmniGen(Joint):
    NETWORK: ClassVar[str] = "comfy.ldm.omnigen.omnigen2.OmniGen2Transformer2DModel"
    ENCODERS: ClassVar[tuple[str, ...]] = ("qwen25_3b",)
    REFERENCES_FIRST: ClassVar[bool] = True
