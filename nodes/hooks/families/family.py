"""What LIME must know of a family of models, and of one call of a model's attention."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import comfy.model_patcher
from torch import Tensor

from ....lime_ops import Settings

Size = tuple[int, int]  # rows, columns


class Call(NamedTuple):
    """One call of an attention layer in which a picture attends to a text, maybe among others."""

    block: Hashable  # tells the layers of one evaluation of the model apart
    map: int  # which of the model's maps the layer's attention goes into, a mean where they are several
    size: Size  # of the pixels that attend
    latent: Size
    uuids: tuple  # of the conditionings in the batch, each with the same number of rows
    picture: slice  # of the queries
    text: slice  # of the keys, as the host hands it over; another pack's patch may have added tokens behind it
    rivals: slice  # keys among which a recorded pixel's attention is shared out; the text is first there
    wider: bool  # whether the attention underneath takes heads that are a few channels wider


Around = Callable[..., Tensor]  # (q, k, v, call, attention) -> out; see Family.with_attention


@dataclass(frozen=True)
class Family(ABC):
    """The attention of one model. This class has what most families share, and is what any other model gets."""

    REACHED: ClassVar[bool] = True  # whether LIME gets between the model and its attention
    ONE_LENGTH: ClassVar[bool] = False  # whether every text has the same columns: start token, words, padding
    TEXT_ATTENDS: ClassVar[bool] = False  # whether the text attends too, in one sequence with the picture
    FOUND_BY_ATTENTION: ClassVar[bool] = False  # whether the words' attention says where, else the early estimate

    pixels: int  # of the picture, to a latent pixel

    @classmethod
    @abstractmethod
    def of(cls, model: comfy.model_patcher.ModelPatcher) -> "Family | None":
        """The family of a loaded model, or None when it is another's."""

    @staticmethod
    def source(conditioning: dict) -> Tensor | None:
        """The latent of the picture to edit that a conditioning carries, as the autoencoder gave it."""
        return None

    def find_source(self, conds: dict[str, list[dict]]) -> Tensor | None:
        """The first of a guider's conditionings' sources, [B, C, (1,) h, w]."""
        carried = (self.source(c) for cond in conds.values() for c in cond or [])
        return next((latent for latent in carried if latent is not None), None)

    def sizes(self, latent: Size) -> set[Size]:
        """Of the layers whose attention is reached, for a latent of that size."""
        return {latent}

    def recorded(self, size: Size, latent: Size, settings: Settings) -> bool:
        """Whether a layer of that size counts for the region."""
        return True

    def regularized(self, size: Size, latent: Size, settings: Settings) -> bool:
        """Whether a layer of that size is regularised."""
        return True

    def covered(self, region: Tensor, latent: Size, size: Size) -> Tensor:
        """A region [B, H, W] of the picture on all that a layer's pixels cover, which may reach beyond the picture."""
        return region

    def fold_text(self, attention: Tensor, tokens: int) -> Tensor:
        """Attention to a call's text [..., M] as to the columns of an instruction [..., tokens]."""
        return attention[..., -tokens:]

    def spread_text(self, unrelated: Tensor, tokens: int, padding_acts: bool) -> Tensor:
        """Which of a call's tokens are unrelated, bool [tokens], from an instruction's columns."""
        return unrelated

    def check(self, conds: dict[str, list[dict]], channels: int) -> None:
        """Raises ValueError when a conditioning carries what the model cannot take. channels: of the latent."""
        return None

    @abstractmethod
    def with_attention(self, model_options: dict, around: Around) -> dict:
        """A copy of model_options whose attention to the text goes through `around(q, k, v, call, attention)`.

        q is [B, N, heads, d], k and v [B, K, heads or a divisor, d]; what `around` returns is as q. `attention(q, k,
        v)` is what stood there before: another pack's replacement, or the host's attention. Only the latter may be
        called with wider heads (`call.wider`).
        """

    @abstractmethod
    def with_output(self, model_options: dict, output: Callable[[Tensor, Call, str], None]) -> dict:
        """A copy of model_options that shows each layer's output for the picture [B, N, C] to `output(n, call, kind)`.

        kind: which of a block's layers.
        """

    def with_text_check(self, model_options: dict) -> dict:
        """A copy of model_options in which what would move the text is refused."""
        return model_options


def class_names(network: Any) -> set[str]:
    """Of a network and all that it is derived from, with their modules: no module is imported to ask.

    Compiled or not. None of a class that another pack derived: such bring attention of their own (Nunchaku).
    """
    kinds = type(getattr(network, "_orig_mod", network)).__mro__
    if kinds[0].__module__.partition(".")[0] != "comfy":
        return set()
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds}
