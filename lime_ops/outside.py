"""Masks, and keeping what is outside one while sampling."""

from torch import Tensor
from torch.nn import functional as F

from .grid import max_pool_region


def mask_values(mask: Tensor) -> Tensor:
    """A mask, [H, W] or [B, H, W], as float [B, H, W] in [0, 1]. Raises ValueError when a value is no number."""
    if not mask.isfinite().all():
        raise ValueError("mask has values that are infinite or no numbers: expected 0 (outside) to 1 (inside)")
    return mask.reshape(-1, *mask.shape[-2:]).float().clamp(0, 1)


def widen_region(region: Tensor, latent: tuple[int, int]) -> Tensor:
    """The latent pixels [B, 1, *latent] that a region [B, H, W] touches, and half a latent pixel more.

    The decoder spreads each latent pixel that far: a cut-off edit would ring.
    """
    h, w = latent
    return F.max_pool2d(max_pool_region(region, (2 * h, 2 * w))[:, None], 4, 2, 1)


def keep_outside(prediction: Tensor, source: Tensor, inside: Tensor) -> Tensor:
    """The prediction [B, C, h, w] inside, the source outside. inside: [1 or B, 1, h, w] in [0, 1]."""
    return source + inside * (prediction - source)
