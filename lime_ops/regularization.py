"""Cross-attention whose unrelated tokens are masked inside a region."""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from .attention import head_probabilities

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q, k, v) -> [B, N, C], heads not split


def regularized_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    region: Tensor,
    unrelated: Tensor,
    strength: float,
    attention: Attention | None = None,
) -> Tensor:
    """Attention [B, N, C] in which unrelated tokens' scores get log(1 - strength * region) added at each pixel.

    q [B, N, C], k and v [B, T, C]: projected, heads not split. region [B, N]: bool, or float in [0, 1]. unrelated
    bool [T]. The penalty alpha of the paper (section 3.3) is -log(1 - strength * region): where strength * region is 1,
    unrelated tokens are excluded, as in the published code (pipeline.py, AttentionProcessor); if no token is left
    there, all weigh the same, as there.

    attention: what computes plain attention, of any back end: no mask is ever passed to it. It is called once for all
    tokens and once for the related ones; their mixture is exact, since with p the share of attention that related
    tokens have, adding log(1 - s) to the others gives ((1 - s) * all + s * p * related) / ((1 - s) + s * p).

    Raises ValueError when shapes disagree or strength is outside [0, 1].
    """
    _check(q, k, region, unrelated, strength)
    attention = attention or (lambda q, k, v: plain_attention(q, k, v, heads))
    out_all = attention(q, k, v)
    columns = (~unrelated).nonzero()[:, 0].to(k.device)
    if len(columns) == 0:
        uniform = v.mean(1, keepdim=True).expand_as(out_all)
        return torch.where((region.float() * strength >= 1)[..., None], uniform, out_all)
    out_related = attention(q, k[:, columns], v[:, columns])
    if region.dtype == torch.bool and strength == 1:
        return torch.where(region[..., None], out_related, out_all)
    pixels = region.any(0).nonzero()[:, 0]  # the others stay as they are
    s = strength * region[:, pixels].float()[..., None, None]  # [B, pixels, 1, 1]
    p = rearrange(head_probabilities(q[:, pixels], k, heads)[..., columns].sum(-1), "b heads n -> b n heads 1")
    # Where s is 1 the share cancels, even if it is too small to divide by.
    weight = torch.where(s >= 1, 1, s * p / ((1 - s) + s * p))
    before, here = (
        rearrange(t[:, pixels], "b n (heads c) -> b n heads c", heads=heads).float() for t in (out_all, out_related)
    )
    return out_all.index_copy(1, pixels, before.lerp(here, weight).flatten(-2).to(q.dtype))


def plain_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for q [B, N, C], k and v [B, T, C]; d = C / heads."""
    q, k, v = (rearrange(t, "b n (heads c) -> b heads n c", heads=heads) for t in (q, k, v))
    return rearrange(F.scaled_dot_product_attention(q, k, v), "b heads n c -> b n (heads c)")


def _check(q: Tensor, k: Tensor, region: Tensor, unrelated: Tensor, strength: float) -> None:
    if region.shape != q.shape[:2]:
        raise ValueError(f"region is {list(region.shape)}: expected {list(q.shape[:2])}, a value for each query")
    if unrelated.shape != k.shape[1:2] or unrelated.dtype != torch.bool:
        raise ValueError(
            f"unrelated is {unrelated.dtype} {list(unrelated.shape)}: expected torch.bool {list(k.shape[1:2])}, "
            "a value for each token"
        )
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}: expected a value from 0 to 1")
