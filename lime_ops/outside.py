"""Keeping what is outside the region: in predictions while sampling, and in the finished picture of the same size."""

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


def feather(mask: Tensor, pixels: int) -> Tensor:
    """The mask [B, H, W] with a border of up to `pixels` in which it falls to 0; what is inside stays."""
    grow, blur = (pixels + 1) // 2, (pixels + 3) // 4
    grown = F.max_pool2d(mask[:, None], 2 * grow + 1, 1, grow)
    return F.avg_pool2d(F.pad(grown, (blur,) * 4, mode="replicate"), 2 * blur + 1, 1)[:, 0]


def paste_back(picture: Tensor, edited: Tensor, mask: Tensor, pixels: int) -> Tensor:
    """The picture with the edit inside the mask, which fades out within `pixels` beyond it: [B, H, W, 3].

    picture [1 or B, H, W, C >= 3] and edited [B, h, w, C >= 3] in [0, 1]; where the edit is smaller, it lies in the
    middle. mask [1 or B, H, W] or [1 or B, h, w], float in [0, 1].
    """
    height, width = edited.shape[1:3]
    top, left = (picture.shape[1] - height) // 2, (picture.shape[2] - width) // 2
    if mask.shape[1:] == picture.shape[1:3]:
        mask = mask[:, top : top + height, left : left + width]
    pasted = picture[..., :3].expand(edited.shape[0], -1, -1, -1).clone()
    place = pasted[:, top : top + height, left : left + width]
    place += feather(mask, pixels).to(place)[..., None] * (edited[..., :3].to(place) - place)
    return pasted
