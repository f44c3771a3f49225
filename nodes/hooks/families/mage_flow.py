"""Mage-Flow: Qwen-Image's blocks on latents that are not packed."""

from typing import ClassVar

from .joint import Joint


class MageFlow(Joint):
    NETWORK: ClassVar[str] = "comfy.ldm.mage_flow.model.MageFlowTransformer2DModel"
    ENCODERS: ClassVar[tuple[str, ...]] = ("qwen3vl_4b",)
