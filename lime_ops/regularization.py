"""Cross-attention whose unrelated tokens are masked inside a region.

The paper's penalty (section 3.3) on the score of pixel n and token t is an outer product: alpha_n for a pixel of the
region, times 1 for an unrelated token. So it can ride in one more channel of queries and keys, and one call of any
attention computes everything; no mask is ever passed. A back end that takes no such width computes a mixture of two
plain calls instead. What is constant over a run is made once, by `plan_regularization`; the calls of each step are free
of anything that waits for a device.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from .attention import head_probabilities

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q, k, v) -> [B, N, C], heads not split

EXTRA = 8  # channels a head gets: fast kernels want widths that are multiples of 8
# The penalty of what is excluded, in units of a score: exp(-500) is 0 in every type, and scores of one pixel lie
# nowhere near as far apart. From 710 on some kernels take twice as long.
EXCLUDED = 500.0


class ExtraChannel(NamedTuple):
    """Regularised attention in one call, its penalty in the first extra channels of queries and keys."""

    heads: int
    queries: Tensor  # [B, N, 1, EXTRA]: the penalty, and what it lost by rounding
    keys: Tensor  # [T, EXTRA]: 1 in those channels for unrelated tokens

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, attention: Attention, active: Tensor | None = None) -> Tensor:
        """[B, N, C] for q [B, N, C], k and v [B, T, C]. active: bool [], whether to penalise; None: yes."""
        q, k, v = (rearrange(t, "b n (heads c) -> b n heads c", heads=self.heads) for t in (q, k, v))
        width = q.shape[-1]
        keys = self.keys if active is None else self.keys * active
        wide = (
            torch.cat([q, self.queries.expand(*q.shape[:3], EXTRA)], -1),
            # A wider head divides scores by more; keys make up for it, being fewer than queries.
            torch.cat([k * ((width + EXTRA) / width) ** 0.5, keys[:, None].expand(*k.shape[:3], EXTRA)], -1),
            F.pad(v, (0, EXTRA)),  # fast kernels want one width for all three
        )
        out = attention(*(t.flatten(2) for t in wide))
        return rearrange(out, "b n (heads c) -> b n heads c", heads=self.heads)[..., :width].flatten(2)


class Mixture(NamedTuple):
    """Regularised attention as a mixture of two plain calls, over all tokens and over the related ones.

    With p the share of attention that related tokens have, adding log(1 - s) to the others gives
    ((1 - s) * all + s * p * related) / ((1 - s) + s * p).
    """

    heads: int
    pixels: Tensor  # int64 [n]: where any image's region is; the others stay as they are
    share: Tensor  # float32 [B, n, 1, 1]: s = strength * region there
    related: Tensor  # int64 [R]: columns

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, attention: Attention, active: Tensor | None = None) -> Tensor:
        """As `ExtraChannel`."""
        out_all = attention(q, k, v)
        q = q.index_select(1, self.pixels)
        out_related = attention(q, k.index_select(1, self.related), v.index_select(1, self.related))
        probabilities = head_probabilities(q, k, self.heads).index_select(-1, self.related)
        p = rearrange(probabilities.sum(-1), "b heads n -> b n heads 1")
        s = self.share if active is None else self.share * active
        # Where s is 1 the share cancels, even if it is too small to divide by.
        weight = torch.where(s >= 1, 1, s * p / ((1 - s) + s * p))
        before, here = (
            rearrange(t, "b n (heads c) -> b n heads c", heads=self.heads).float()
            for t in (out_all.index_select(1, self.pixels), out_related)
        )
        return out_all.index_copy(1, self.pixels, before.lerp(here, weight).flatten(2).to(out_all.dtype))


class Uniform(NamedTuple):
    """Where no token is related: all weigh the same at full strength, as in the published code."""

    full: Tensor  # bool [B, N, 1]: where strength * region is 1

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, attention: Attention, active: Tensor | None = None) -> Tensor:
        """As `ExtraChannel`."""
        full = self.full if active is None else self.full & active
        return torch.where(full, v.mean(1, keepdim=True), attention(q, k, v))


Regularization = ExtraChannel | Mixture | Uniform


def plan_regularization(
    region: Tensor, unrelated: Tensor, strength: float, heads: int, like: Tensor, extra_channel: bool
) -> Regularization | None:
    """All that is constant over a run in layers of one size; None where nothing is regularised.

    region [B, N]: bool, or float in [0, 1]. unrelated bool [T]. like: a query [B, N, C], for device, type and width.
    extra_channel: whether the back end takes heads that are EXTRA channels wider. Waits for the device.

    Raises ValueError when shapes disagree or strength is outside [0, 1].
    """
    _check(region, unrelated, strength, like)
    region, unrelated = region.to(like.device), unrelated.to(like.device)
    share = strength * region.float()
    if not share.any() or not unrelated.any():
        return None
    if unrelated.all():
        return Uniform((share >= 1)[..., None])
    if extra_channel:
        width = like.shape[-1] // heads + EXTRA
        return ExtraChannel(heads, _penalty(share, width, like.dtype), _indicator(unrelated, like.dtype))
    pixels = share.any(0).nonzero()[:, 0]
    return Mixture(heads, pixels, share[:, pixels, None, None], (~unrelated).nonzero()[:, 0])


def regularized_attention(
    q: Tensor, k: Tensor, v: Tensor, heads: int, region: Tensor, unrelated: Tensor, strength: float
) -> Tensor:
    """Attention [B, N, C] in which unrelated tokens' scores get log(1 - strength * region) added at each pixel.

    q [B, N, C], k and v [B, T, C]: projected, heads not split. region [B, N]: bool, or float in [0, 1]. unrelated
    bool [T]. The penalty alpha of the paper (section 3.3) is -log(1 - strength * region): where strength * region is 1,
    unrelated tokens are excluded, as in the published code (pipeline.py, AttentionProcessor); if no token is left
    there, all weigh the same, as there.

    Raises ValueError when shapes disagree or strength is outside [0, 1].
    """
    plan = plan_regularization(region, unrelated, strength, heads, q, extra_channel=True)

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return plain_attention(q, k, v, heads)

    return plan(q, k, v, attention) if plan else attention(q, k, v)


def plain_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for q [B, N, C], k and v [B, T, C]; d = C / heads."""
    q, k, v = (rearrange(t, "b n (heads c) -> b heads n c", heads=heads) for t in (q, k, v))
    return rearrange(F.scaled_dot_product_attention(q, k, v), "b heads n c -> b n (heads c)")


def _penalty(share: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """[B, N, 1, EXTRA]: log(1 - share) before attention divides it by sqrt(width), in two parts of a small type."""
    penalty = torch.log1p(-share).clamp_min(-EXCLUDED) * width**0.5
    rounded = penalty.to(dtype)
    lost = (penalty - rounded.float()).to(dtype)
    return F.pad(torch.stack([rounded, lost], -1), (0, EXTRA - 2))[:, :, None]


def _indicator(unrelated: Tensor, dtype: torch.dtype) -> Tensor:
    """[T, EXTRA]."""
    return F.pad(unrelated.to(dtype)[:, None].expand(-1, 2), (0, EXTRA - 2))


def _check(region: Tensor, unrelated: Tensor, strength: float, q: Tensor) -> None:
    if region.shape != q.shape[:2]:
        raise ValueError(f"region is {list(region.shape)}: expected {list(q.shape[:2])}, a value for each query")
    if unrelated.ndim != 1 or unrelated.dtype != torch.bool:
        raise ValueError(
            f"unrelated is {unrelated.dtype} {list(unrelated.shape)}: expected torch.bool [T], a value for each token"
        )
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}: expected a value from 0 to 1")
