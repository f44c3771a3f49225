"""Cross-attention whose unrelated tokens are masked inside a region.

The paper's penalty (section 3.3) on the score of pixel n and token t is an outer product: alpha_n for a pixel of the
region, times 1 for an unrelated token. So it can ride in one more channel of queries and keys, and one call of any
attention computes everything; no mask is ever passed. A back end that takes no such width computes a mixture of
plain calls instead. In joint attention the pixels are some of the queries, and the tokens some of the keys. What is
constant over a run is made once, by `plan_regularization`; the calls of each step are free of anything that waits for a
device.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q, k, v) -> out, each [B, n, heads, d]

EXTRA = 8  # channels a head gets: fast kernels want widths that are multiples of 8
# The penalty of what is excluded, in units of a score: exp(-500) is 0 in every type, and scores of one pixel lie
# nowhere near as far apart. From 710 on some kernels take twice as long.
EXCLUDED = 500.0


class ExtraChannel(NamedTuple):
    """Regularised attention in one call, its penalty in the first extra channels of queries and keys."""

    queries: Tensor  # [B, N, 1, EXTRA]: the penalty, and what it lost by rounding
    keys: Tensor  # [T, EXTRA]: 1 in those channels for unrelated tokens

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, attention: Attention, active: Tensor | None = None) -> Tensor:
        """[B, N, heads, d] for q [B, N, heads, d], k and v [B, T, heads, d].

        active: bool [], whether to penalise; None: yes. k and v may have fewer heads than q.
        """
        width = q.shape[-1]
        keys = self.keys if active is None else self.keys * active
        wide = (
            torch.cat([q, self.queries.expand(*q.shape[:3], EXTRA)], -1),
            # A wider head divides scores by more; keys make up for it, being fewer than queries.
            torch.cat([k * ((width + EXTRA) / width) ** 0.5, keys[:, None].expand(*k.shape[:3], EXTRA)], -1),
            F.pad(v, (0, EXTRA)),  # fast kernels want one width for all three
        )
        return attention(*wide)[..., :width]


class Mixture(NamedTuple):
    """Regularised attention as a mixture of plain calls, over all tokens, over the related and over the unrelated ones.

    With p the share of attention that related tokens have, adding log(1 - s) to the others gives
    ((1 - s) * all + s * p * related) / ((1 - s) + s * p). Since all = p * related + (1 - p) * unrelated, p is found by
    projecting; where the two hardly differ it is found badly, and does not matter.
    """

    pixels: Tensor  # int64 [n]: where any image's region is; the others stay as they are
    strength: Tensor  # float32 [B, n, 1, 1]: s = strength * region there
    related: Tensor  # int64 [R]: columns
    unrelated: Tensor | None  # int64 [T - R]; None where s is 1 or 0 everywhere, so that p is not needed

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, attention: Attention, active: Tensor | None = None) -> Tensor:
        """As `ExtraChannel`."""
        out = attention(q, k, v)
        q = q.index_select(1, self.pixels)

        def over(columns: Tensor) -> Tensor:
            return attention(q, k.index_select(1, columns), v.index_select(1, columns)).float()

        before, related = out.index_select(1, self.pixels).float(), over(self.related)
        s = self.strength if active is None else self.strength * active
        weight = s
        if self.unrelated is not None:
            unrelated = over(self.unrelated)
            apart = related - unrelated
            squared = apart.square().sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
            p = (((before - unrelated) * apart).sum(-1, keepdim=True) / squared).clamp(0, 1)
            # Where s is 1 the share cancels, even if it is too small to divide by.
            weight = torch.where(s >= 1, 1, s * p / ((1 - s) + s * p))
        return out.index_copy(1, self.pixels, before.lerp(related, weight).to(out.dtype))


class Uniform(NamedTuple):
    """Where no token is related: all weigh the same at full strength, as in the published code."""

    full: Tensor  # bool [B, N, 1, 1]: where strength * region is 1

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, attention: Attention, active: Tensor | None = None) -> Tensor:
        """As `ExtraChannel`."""
        full = self.full if active is None else self.full & active
        out = attention(q, k, v)
        mean = v.mean(1, keepdim=True).repeat_interleave(out.shape[2] // v.shape[2], 2)
        return torch.where(full, mean, out)


Regularization = ExtraChannel | Mixture | Uniform


def plan_regularization(
    region: Tensor, unrelated: Tensor, strength: float, like: Tensor, extra_channel: bool
) -> Regularization | None:
    """All that is constant over a run in layers of one size; None where nothing is regularised.

    region [B, N]: bool, or float in [0, 1]. unrelated bool [T]. like: queries [B, N, heads, d]: device, type, width.
    extra_channel: whether the back end takes heads that are EXTRA channels wider. Waits for the device.

    Raises ValueError when shapes disagree or strength is outside [0, 1].
    """
    _check(region, unrelated, strength, like)
    region, unrelated = region.to(like.device), unrelated.to(like.device)
    share = strength * region.float()
    if not share.any() or not unrelated.any():
        return None
    if unrelated.all():
        return Uniform((share >= 1)[..., None, None])
    if extra_channel:
        penalty = _penalty(share, like.shape[-1] + EXTRA, like.dtype)
        return ExtraChannel(penalty, _indicator(unrelated, like.dtype))
    pixels = share.any(0).nonzero()[:, 0]
    partly = ((share > 0) & (share < 1)).any()
    others = unrelated.nonzero()[:, 0] if partly else None
    return Mixture(pixels, share[:, pixels, None, None], (~unrelated).nonzero()[:, 0], others)


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
    q, k, v = (t.unflatten(-1, (heads, -1)) for t in (q, k, v))
    plan = plan_regularization(region, unrelated, strength, q, extra_channel=True)
    return (plan(q, k, v, plain_attention) if plan else plain_attention(q, k, v)).flatten(2)


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for q [B, N, heads, d], k and v [B, T, heads, d]."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


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
