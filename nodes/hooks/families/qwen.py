"""Qwen-Image and Qwen-Image-Edit: latents with a time axis of one."""

from typing import ClassVar

from .joint import Joint


class Qwen(Joint):
    NETWORK: ClassVar[str] = "comfy.ldm.qwen_image.model.QwenImageTransformer2DModel"
    ENCODERS: ClassVar[tuple[str, ...]] = ("qwen25_7b",)
