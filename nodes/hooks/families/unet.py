"""UNets with cross-attention: SD1.5's, SDXL's and their fine-tunes for editing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import comfy.model_patcher
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ....lime_ops import Settings
from ..backends import takes_wider_heads

PIXELS = 8  # picture pixels to a latent pixel, where the host does not say (0.3.75)

Block = tuple[str, int, int]  # ("input" | "middle" | "output", number, transformer index)


class Call(NamedTuple):
    """One call of an attention layer, as the host's hook describes it."""

    block: Block
    size: tuple[int, int]  # rows and columns of the pixels that attend
    latent: tuple[int, int]
    heads: int
    uuids: tuple  # of the conditionings in the batch, each with the same number of rows
    wider: bool  # whether the attention underneath takes heads that are a few channels wider


Attention = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q, k, v) -> [B, N, C], heads not split


@dataclass(frozen=True)
class UNet:
    """The cross-attention layers of one model."""

    ENCODERS: ClassVar[tuple[str, ...]] = ("l",)
    KINDS: ClassVar[tuple[str, ...]] = ("attn1", "attn2")  # a block's attention layers

    blocks: tuple[Block, ...]  # in the published order: down, up, mid
    pixels: int  # picture pixels to a latent pixel

    @classmethod
    def of(cls, model: comfy.model_patcher.ModelPatcher) -> "UNet | None":
        """None when the model has no cross-attention that the host's hooks reach."""
        unet = model.get_model_object("diffusion_model")
        parts = {
            "input": getattr(unet, "input_blocks", []),
            "output": getattr(unet, "output_blocks", []),
            "middle": [getattr(unet, "middle_block", [])],
        }
        blocks = tuple(
            (part, number, index)
            for part, layers in parts.items()
            for number, layer in enumerate(layers)
            for module in layer
            for index, transformer in enumerate(getattr(module, "transformer_blocks", []))
            if getattr(transformer, "attn2", None) is not None
        )
        pixels = getattr(model.get_model_object("latent_format"), "spacial_downscale_ratio", PIXELS)
        return cls(blocks, pixels) if blocks else None

    @staticmethod
    def source(conditioning: dict) -> Tensor | None:
        """The latent of the picture to edit that a conditioning carries on extra channels, or None."""
        return conditioning.get("concat_latent_image")

    def recorded(self, call: Call, settings: Settings) -> bool:
        """Whether a layer counts for the region. Published: pipeline.py, AttentionStore and attn_res."""
        floor = max(_quarter(call.latent), settings.min_recorded_pixels)
        return floor <= math.prod(call.size) < settings.max_recorded_pixels

    def regularized(self, call: Call, settings: Settings) -> bool:
        """Whether a layer is regularised. Published: pipeline.py, AttentionProcessor, `res > 16`."""
        pixels = math.prod(call.size)
        return pixels > _quarter(call.latent) if settings.layers_by_share else math.isqrt(pixels) > 16

    def with_attention(self, model_options: dict, around: Callable[..., Tensor]) -> dict:
        """A copy of model_options whose cross-attention goes through `around(q, k, v, call, attention)`.

        `attention(q, k, v)` is what stood there before: another pack's replacement, or the host's attention. Only the
        latter may be called with wider heads (`call.wider`).
        """
        options = comfy.model_patcher.create_model_options_clone(model_options)
        replace = options["transformer_options"].setdefault("patches_replace", {}).setdefault("attn2", {})
        for block in self.blocks:
            before = replace.get(block, replace.get(block[:2], _host_attention))
            replace[block] = partial(_attend, around=around, before=before)
        return options

    def with_output(self, model_options: dict, output: Callable[[Tensor, Call, str], None]) -> dict:
        """A copy of model_options that shows the output [B, N, C] of every attention layer to `output(n, call, kind)`.

        kind: which of a block's two layers, self- or cross-attention.
        """
        options = comfy.model_patcher.create_model_options_clone(model_options)
        patches = options["transformer_options"].setdefault("patches", {})
        for kind in self.KINDS:
            hook = partial(_show, output=output, kind=kind)
            patches[f"{kind}_output_patch"] = [*patches.get(f"{kind}_output_patch", []), hook]
        return options


def _attend(q: Tensor, k: Tensor, v: Tensor, extra: dict, around: Callable, before: Callable) -> Tensor:
    wider = before is _host_attention and takes_wider_heads(extra)
    return around(q, k, v, _call(extra, wider), attention=lambda q, k, v: before(q, k, v, extra))


def _show(n: Tensor, extra: dict, output: Callable, kind: str) -> Tensor:
    output(n, _call(extra, wider=False), kind)
    return n


def _host_attention(q: Tensor, k: Tensor, v: Tensor, extra: dict) -> Tensor:
    return optimized_attention(
        q, k, v, extra["n_heads"], attn_precision=extra["attn_precision"], transformer_options=extra
    )


def _call(extra: dict, wider: bool) -> Call:
    return Call(
        block=(*extra["block"], extra["block_index"]),
        size=tuple(extra["activations_shape"][-2:]),
        latent=tuple(extra["original_shape"][-2:]),
        heads=extra["n_heads"],
        uuids=tuple(extra["uuids"]),
        wider=wider,
    )


def _quarter(latent: tuple[int, int]) -> int:
    """Pixels of a layer of a quarter of the latent each way (16 x 16 at 512 px)."""
    return math.ceil(latent[0] / 4) * math.ceil(latent[1] / 4)
