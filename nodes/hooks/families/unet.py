"""UNets with cross-attention: SD1.5's, SDXL's and their fine-tunes for editing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import comfy.model_patcher
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample
from torch import Tensor

from ....lime_ops import Settings
from ..backends import origin, takes_wider_heads

TEXT = "lime_text"  # in the host's options of one layer's call: its text before other packs' patches

Size = tuple[int, int]  # rows, columns
Block = tuple[str, int, int]  # ("input" | "middle" | "output", number, transformer index)


class Call(NamedTuple):
    """One call of an attention layer, as the host's hook describes it."""

    block: Block
    size: Size  # of the pixels that attend
    latent: Size
    heads: int
    uuids: tuple  # of the conditionings in the batch, each with the same number of rows
    tokens: int  # of the text that the host hands over; another pack's patch may have added more behind them
    wider: bool  # whether the attention underneath takes heads that are a few channels wider


Attention = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q, k, v) -> [B, N, C], heads not split


def _levels(unet: Any) -> frozenset[int]:
    """How often the picture was halved before each of the down path's transformers; the middle's included."""
    level, levels = 0, set()
    for layer in [*unet.input_blocks, unet.middle_block]:
        level += any(isinstance(module, Downsample) for module in layer)
        if any(hasattr(module, "transformer_blocks") for module in layer):
            levels.add(level)
    return frozenset(levels)


@dataclass(frozen=True)
class UNet:
    """The cross-attention layers of one model."""

    KINDS: ClassVar[tuple[str, ...]] = ("attn1", "attn2")  # a block's attention layers

    blocks: tuple[Block, ...]  # in the published order: down, up, mid
    levels: frozenset[int]  # at which resolutions they are: halved so many times
    channels: int  # that the network takes; a picture to edit comes on those beyond the latent's

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
        return cls(blocks, _levels(unet), unet.in_channels) if blocks else None

    @staticmethod
    def source(conditioning: dict) -> Tensor | None:
        """The latent of the picture to edit that a conditioning carries on extra channels, or None."""
        return conditioning.get("concat_latent_image")

    def recorded(self, size: Size, latent: Size, settings: Settings) -> bool:
        """Whether a layer counts for the region. Published: pipeline.py, AttentionStore and attn_res."""
        floor = max(_share(latent, 4), settings.min_recorded_pixels)
        most = settings.max_recorded_pixels - 1
        if settings.layers_by_share:
            most = max(most, _share(latent, 2))
        return floor <= math.prod(size) <= most

    def regularized(self, size: Size, latent: Size, settings: Settings) -> bool:
        """Whether a layer is regularised. Published: pipeline.py, AttentionProcessor, `res > 16`."""
        pixels = math.prod(size)
        return pixels > _share(latent, 4) if settings.layers_by_share else math.isqrt(pixels) > 16

    def sizes(self, latent: Size) -> set[Size]:
        """Of the layers that have cross-attention, for a latent of that size."""
        return {tuple(math.ceil(length / 2**level) for length in latent) for level in self.levels}

    def with_attention(self, model_options: dict, around: Callable[..., Tensor]) -> dict:
        """A copy of model_options whose cross-attention goes through `around(q, k, v, call, attention)`.

        `attention(q, k, v)` is what stood there before: another pack's replacement, or the host's attention. Only the
        latter may be called with wider heads (`call.wider`).
        """
        options = self.with_text_check(model_options)
        replace = options["transformer_options"].setdefault("patches_replace", {}).setdefault("attn2", {})
        for block in self.blocks:
            before = replace.get(block, replace.get(block[:2], _host_attention))
            replace[block] = partial(_attend, around=around, before=before)
        return options

    def with_text_check(self, model_options: dict) -> dict:
        """A copy of model_options in which other packs' patches must leave the text where it is (`_check_text`)."""
        options = comfy.model_patcher.create_model_options_clone(model_options)
        patches = options["transformer_options"].setdefault("patches", {})
        if theirs := patches.get("attn2_patch"):
            patches["attn2_patch"] = [_remember_text, *theirs, partial(_check_text, patches=theirs)]
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
    own = before is _host_attention
    call = _call(extra, extra.get(TEXT, k.shape[1]), own and takes_wider_heads(extra))

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        try:
            return before(q, k, v, extra)
        except RuntimeError as error:
            if own:
                raise
            raise RuntimeError(
                f"{origin(before)} replaces cross-attention and failed where LIME calls it with a part of the text's "
                f"tokens ({error}). The two cannot work together: bypass that node, or LIME Attention Regularize Model."
            ) from error

    return around(q, k, v, call, attention=attention)


def _remember_text(n: Tensor, context: Tensor, value: Tensor, extra: dict) -> tuple[Tensor, Tensor, Tensor]:
    extra[TEXT] = (n, context, value)
    return n, context, value


def _check_text(n: Tensor, context: Tensor, value: Tensor, extra: dict, patches: list) -> tuple[Tensor, Tensor, Tensor]:
    """Raises ValueError unless other packs' patches left the text as it was, or added tokens behind it."""
    pixels, *texts = extra[TEXT]
    tokens = texts[0].shape[1]
    kept = n.shape[0] == pixels.shape[0] and all(
        new is old or (new.shape[1] >= tokens and torch.equal(new[:, :tokens], old))
        for new, old in zip((context, value), texts, strict=True)
    )
    if not kept:
        raise ValueError(
            f"{', '.join(map(origin, patches))} rearranges the text or the batch that cross-attention sees, so that "
            "LIME cannot tell its words: bypass that node, or the LIME nodes."
        )
    extra[TEXT] = tokens
    return n, context, value


def _show(n: Tensor, extra: dict, output: Callable, kind: str) -> Tensor:
    output(n, _call(extra, tokens=0, wider=False), kind)
    return n


def _host_attention(q: Tensor, k: Tensor, v: Tensor, extra: dict) -> Tensor:
    return optimized_attention(
        q, k, v, extra["n_heads"], attn_precision=extra["attn_precision"], transformer_options=extra
    )


def _call(extra: dict, tokens: int, wider: bool) -> Call:
    return Call(
        block=(*extra["block"], extra["block_index"]),
        size=tuple(extra["activations_shape"][-2:]),
        latent=tuple(extra["original_shape"][-2:]),
        heads=extra["n_heads"],
        uuids=tuple(extra["uuids"]),
        tokens=tokens,
        wider=wider,
    )


def _share(latent: Size, divisor: int) -> int:
    """Pixels of a layer that is so many times smaller than the latent each way (by 4: 16 x 16 at 512 px)."""
    return math.ceil(latent[0] / divisor) * math.ceil(latent[1] / divisor)
