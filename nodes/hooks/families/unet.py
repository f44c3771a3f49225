"""UNets with cross-attention: SD1.5's, SDXL's and their fine-tunes for editing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import comfy.ldm.modules.attention
import comfy.model_patcher
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from einops import reduce
from torch import Tensor

from ....lime_ops import Settings
from .. import KEY
from ..backends import OVERRIDE, origin, takes_wider_heads, uncompiled
from .family import Around, Call, Family, Size

TEXT = "lime_text"  # in the host's options of one layer's call: its text before other packs' patches

Block = tuple[str, int, int]  # ("input" | "middle" | "output", number, transformer index)


def _levels(unet: Any) -> frozenset[int]:
    """How often the picture was halved before each of the down path's transformers; the middle's included."""
    level, levels = 0, set()
    for layer in [*unet.input_blocks, unet.middle_block or []]:
        level += any(isinstance(module, Downsample) for module in layer)
        if any(hasattr(module, "transformer_blocks") for module in layer):
            levels.add(level)
    return frozenset(levels)


@dataclass(frozen=True)
class UNet(Family):
    """The cross-attention layers of one model."""

    ONE_LENGTH: ClassVar[bool] = True
    FOUND_BY_ATTENTION: ClassVar[bool] = True
    KINDS: ClassVar[tuple[str, ...]] = ("attn1", "attn2")  # a block's attention layers

    blocks: tuple[Block, ...]  # in the published order: down, up, mid
    levels: frozenset[int]  # at which resolutions they are: halved so many times
    channels: int  # that the network takes; a picture to edit comes on those beyond the latent's

    @classmethod
    def of(cls, model: comfy.model_patcher.ModelPatcher) -> "UNet | None":
        unet = model.get_model_object("diffusion_model")
        parts = {
            "input": getattr(unet, "input_blocks", []),
            "output": getattr(unet, "output_blocks", []),
            "middle": [getattr(unet, "middle_block", None) or []],  # SDXS and KOALA have none
        }
        blocks = tuple(
            (part, number, index)
            for part, layers in parts.items()
            for number, layer in enumerate(layers)
            for module in layer
            for index, transformer in enumerate(getattr(module, "transformer_blocks", []))
            if getattr(transformer, "attn2", None) is not None
        )
        return cls(8, blocks, _levels(unet), unet.in_channels) if blocks else None

    @staticmethod
    def source(conditioning: dict) -> Tensor | None:
        """On extra channels; with a mask beside it (inpainting) a part of the picture is missing."""
        return None if "concat_mask" in conditioning else conditioning.get("concat_latent_image")

    def recorded(self, size: Size, latent: Size, settings: Settings) -> bool:
        """Published: pipeline.py, AttentionStore and attn_res."""
        floor = max(self._share(latent, 4), settings.min_recorded_pixels)
        most = settings.max_recorded_pixels - 1
        if settings.layers_by_share:
            most = max(most, self._share(latent, 2))
        return floor <= math.prod(size) <= most

    def regularized(self, size: Size, latent: Size, settings: Settings) -> bool:
        """Published: pipeline.py, AttentionProcessor, `res > 16`."""
        pixels = math.prod(size)
        return pixels > self._share(latent, 4) if settings.layers_by_share else math.isqrt(pixels) > 16

    def sizes(self, latent: Size) -> set[Size]:
        return {self._size(latent, level) for level in self.levels}

    def _size(self, latent: Size, level: int) -> Size:
        return math.ceil(latent[0] / 2**level), math.ceil(latent[1] / 2**level)

    def _share(self, latent: Size, divisor: int) -> int:
        """Pixels of a layer so many times smaller each way than the finest with attention (SD1.5: the latent)."""
        finest = self._size(latent, min(self.levels))
        return math.ceil(finest[0] / divisor) * math.ceil(finest[1] / divisor)

    def fold_text(self, attention: Tensor, tokens: int) -> Tensor:
        """The host repeats a text to the length of the longest in its batch."""
        return reduce(attention, "... (times t) -> ... t", "sum", t=tokens)

    def spread_text(self, unrelated: Tensor, tokens: int, padding_acts: bool) -> Tensor:
        """As the host does; the call's text, where it is the shorter, is to be repeated too: that changes nothing."""
        return unrelated.repeat(math.lcm(tokens, len(unrelated)) // len(unrelated))

    def check(self, conds: dict[str, list[dict]], channels: int) -> None:
        if self.find_source(conds) is not None and self.channels <= channels:
            raise ValueError(
                f"the conditioning carries a picture to edit but the model takes {self.channels} channels, the "
                "latent's alone: it is no instruction-editing model. Load an InstructPix2Pix checkpoint (8 channels)."
            )

    def with_attention(self, model_options: dict, around: Around) -> dict:
        options = self.with_text_check(model_options)
        add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, uncompiled, options["transformer_options"])
        replace = options["transformer_options"].setdefault("patches_replace", {}).setdefault("attn2", {})
        for number, block in enumerate(self.blocks):
            before = replace.get(block, replace.get(block[:2], _host_attention))
            replace[block] = partial(self._attend, number=number, around=around, before=before)
        return options

    def with_text_check(self, model_options: dict) -> dict:
        """A copy of model_options in which other packs' patches must leave the text where it is (`_check_text`)."""
        options = comfy.model_patcher.create_model_options_clone(model_options)
        patches = options["transformer_options"].setdefault("patches", {})
        if theirs := patches.get("attn2_patch"):
            patches["attn2_patch"] = [_remember_text, *theirs, partial(_check_text, patches=theirs)]
        return options

    def with_output(self, model_options: dict, output: Callable[[Tensor, Call, str], None]) -> dict:
        """kind: self- or cross-attention. After the output's projection, before the residual is added."""
        options = comfy.model_patcher.create_model_options_clone(model_options)
        patches = options["transformer_options"].setdefault("patches", {})
        for kind in self.KINDS:
            hook = partial(_show, output=output, kind=kind)
            patches[f"{kind}_output_patch"] = [*patches.get(f"{kind}_output_patch", []), hook]
        return options

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, extra: dict, number: int, around: Around, before: Callable
    ) -> Tensor:
        own = before is _host_attention

        def attention(*qkv: Tensor) -> Tensor:
            try:
                out = before(*(t.flatten(2) for t in qkv), extra)
            except RuntimeError as error:
                if own:
                    raise
                raise RuntimeError(
                    f"{origin(before)} replaces cross-attention and failed where LIME calls it with a part of the "
                    f"text's tokens ({error}). The two cannot work together: bypass that node, or LIME Attention "
                    "Regularize Model."
                ) from error
            return out.unflatten(-1, (extra["n_heads"], -1))

        wider = own and OVERRIDE not in extra and takes_wider_heads(comfy.ldm.modules.attention.optimized_attention)
        call = _call(extra, number, extra.get(TEXT, k.shape[1]), wider)
        heads = (t.unflatten(-1, (extra["n_heads"], -1)) for t in (q, k, v))
        return around(*heads, call, attention=attention).flatten(2)


def _show(n: Tensor, extra: dict, output: Callable, kind: str) -> Tensor:
    output(n, _call(extra, number=0, tokens=0, wider=False), kind)
    return n


def _call(extra: dict, number: int, tokens: int, wider: bool) -> Call:
    return Call(
        block=(*extra["block"], extra["block_index"]),
        map=number,
        size=tuple(extra["activations_shape"][-2:]),
        latent=tuple(extra["original_shape"][-2:]),
        uuids=tuple(extra["uuids"]),
        picture=slice(None),
        text=slice(0, tokens),
        rivals=slice(None),
        wider=wider,
    )


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


def _host_attention(q: Tensor, k: Tensor, v: Tensor, extra: dict) -> Tensor:
    return comfy.ldm.modules.attention.optimized_attention(
        q, k, v, extra["n_heads"], attn_precision=extra["attn_precision"], transformer_options=extra
    )
