"""Transformers in which text and picture attend to each other in one sequence: joint attention."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import comfy.model_patcher
from comfy.patcher_extension import WrapperExecutor, WrappersMP, add_wrapper_with_key
from torch import Tensor
from torch.nn import functional as F

from ....lime_ops import Settings
from .. import KEY
from ..backends import OVERRIDE, takes_wider_heads, uncompiled
from .family import Around, Call, Family, Size, class_names


class Layout(NamedTuple):
    """Where text and picture stand in the sequence of one evaluation."""

    text: slice
    picture: slice
    size: Size  # of the picture
    latent: Size
    lengths: tuple[int, ...]  # of the sequence; some nodes take the references out

    def fits(self, q: Tensor, k: Tensor) -> bool:
        """Whether a call of attention, [B, heads, S, d], is of this sequence. Other layers' see parts of it."""
        return q.shape[2] in self.lengths and k.shape[2] >= q.shape[2]


@dataclass(frozen=True)
class Joint(Family):
    """The attention of one such model. A family says what its class is called, and where its order differs."""

    TEXT_ATTENDS: ClassVar[bool] = True
    FOUND_BY_ATTENTION: ClassVar[bool] = False  # the estimate finds better (`demo.evaluate_dit`)
    NETWORK: ClassVar[str]  # the class of the host's network, with its module
    REFERENCES_FIRST: ClassVar[bool] = False  # pictures to edit stand before the one that is sampled, else behind it
    TOKEN_PIXELS: ClassVar[int] = 16  # of the picture, to a token

    patch: int  # latent pixels to a token, each way
    multiple: int  # to which text and picture are padded, each

    @classmethod
    def of(cls, model: comfy.model_patcher.ModelPatcher) -> "Joint | None":
        network = model.get_model_object("diffusion_model")
        if cls.NETWORK not in class_names(network):
            return None
        patch, multiple = network.patch_size, getattr(network, "pad_tokens_multiple", None) or 1
        return cls(cls.TOKEN_PIXELS // patch, patch, multiple)

    @staticmethod
    def source(conditioning: dict) -> Tensor | None:
        """The first picture that is referred to."""
        return next(iter(conditioning.get("reference_latents") or []), None)

    def sizes(self, latent: Size) -> set[Size]:
        return {self._grid(latent)}

    def recorded(self, size: Size, latent: Size, settings: Settings) -> bool:
        return math.prod(size) >= settings.min_recorded_pixels

    def covered(self, region: Tensor, latent: Size, size: Size) -> Tensor:
        height, width = (
            math.ceil(length * tokens * self.patch / pixels)
            for length, tokens, pixels in zip(region.shape[1:], size, latent, strict=True)
        )
        return F.pad(region, (0, width - region.shape[2], 0, height - region.shape[1]))

    def spread_text(self, unrelated: Tensor, tokens: int, padding_acts: bool) -> Tensor:
        """What is put before a short text is padding."""
        return F.pad(unrelated, (tokens - len(unrelated), 0), value=not padding_acts)

    def with_attention(self, model_options: dict, around: Around) -> dict:
        options = comfy.model_patcher.create_model_options_clone(model_options)
        inner = options["transformer_options"]
        hook = _Hook(self, around, inner.get(OVERRIDE))
        add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, hook.apply_model, inner)
        inner[OVERRIDE] = hook.override
        return options

    def with_output(self, model_options: dict, output: Callable[[Tensor, Call, str], None]) -> dict:
        def around(q: Tensor, k: Tensor, v: Tensor, call: Call, attention: Callable) -> Tensor:
            out = attention(q, k, v)
            output(out[:, call.picture].flatten(2), call, "joint")
            return out

        return self.with_attention(model_options, around)

    def layout(self, latent: Tensor, text: int, references: list[Tensor]) -> Layout:
        """Of a latent [B, C, h, w] or [B, C, 1, h, w], so many tokens of text, and the references' latents."""
        size = self._grid((latent.shape[-2], latent.shape[-1]))
        grids = (self._grid((r.shape[-2], r.shape[-1])) for r in references)
        behind = sum(self._padded(math.prod(grid)) for grid in grids)
        first = self._padded(text) + (behind if self.REFERENCES_FIRST else 0)
        alone = self._padded(text) + self._padded(math.prod(size))
        return Layout(
            text=slice(0, text),
            picture=slice(first, first + math.prod(size)),
            size=size,
            latent=(latent.shape[-2], latent.shape[-1]),
            lengths=(alone + behind,) if self.REFERENCES_FIRST else (alone + behind, alone),
        )

    def _grid(self, latent: Size) -> Size:
        return math.ceil(latent[0] / self.patch), math.ceil(latent[1] / self.patch)

    def _padded(self, tokens: int) -> int:
        return math.ceil(tokens / self.multiple) * self.multiple


@dataclass
class _Calls:
    """Of one evaluation of the model, in the host's options for it: no two threads share them."""

    layout: Layout
    seen: int = 0


class _Hook:
    """Between a model and its attention."""

    def __init__(self, family: Joint, around: Around, before: Callable | None) -> None:
        self.family, self.around, self.before = family, around, before
        self.key = f"lime_calls_{id(self)}"  # several hooks may hang on one evaluation

    def apply_model(
        self,
        executor: WrapperExecutor,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: dict | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """APPLY_MODEL wrapper: the layout is known from what the model is given."""
        text = 0 if c_crossattn is None else c_crossattn.shape[1]
        calls = _Calls(self.family.layout(x, text, kwargs.get("ref_latents") or []))
        options = {**(transformer_options or {}), self.key: calls}
        result = uncompiled(executor, x, t, c_concat, c_crossattn, control, options, **kwargs)
        if not calls.seen:
            raise RuntimeError(
                f"no attention over {' or '.join(map(str, calls.layout.lengths))} tokens (text, picture and "
                "references) was seen in this model, as LIME expected: a node adds tokens, leaves blocks out, skips "
                "evaluations (EasyCache and its kin) or brings an attention of its own. Bypass that node, or the LIME "
                "nodes but LIME Keep Outside."
            )
        return result

    def override(
        self, function: Callable, q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        """The host's attention override. Calls of other layers than those over the whole sequence go through."""
        calls = (kwargs.get("transformer_options") or {}).get(self.key)
        attend = partial(self.before, function) if self.before else function
        if calls is None or not kwargs.get("skip_reshape") or not calls.layout.fits(q, k):
            return attend(q, k, v, heads, mask=mask, **kwargs)

        def attention(*qkv: Tensor) -> Tensor:
            if mask is not None and (qkv[0].shape[1], qkv[1].shape[1]) != (q.shape[2], k.shape[2]):
                raise RuntimeError(
                    "the model masks its attention, and its back end takes no wider heads: LIME cannot regularise "
                    "the two together. Start ComfyUI with --use-pytorch-cross-attention, or leave LIME Attention "
                    "Regularize Model out."
                )
            out = attend(*(t.transpose(1, 2) for t in qkv), heads, mask=mask, **kwargs)
            return out.unflatten(-1, (heads, -1))

        own = self.before is None and "scale" not in kwargs
        call = _call(calls, kwargs["transformer_options"]["uuids"], own and takes_wider_heads(function))
        return self.around(*(t.transpose(1, 2) for t in (q, k, v)), call, attention=attention).flatten(2)


def _call(calls: _Calls, uuids: list, wider: bool) -> Call:
    calls.seen += 1
    layout = calls.layout
    return Call(
        block=calls.seen,
        map=0,  # one for all layers, which have one size
        size=layout.size,
        latent=layout.latent,
        uuids=tuple(uuids),
        picture=layout.picture,
        text=layout.text,
        rivals=layout.text,
        wider=wider,
    )
