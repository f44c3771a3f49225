"""Sizes: the working grid that maps are compared on, and resizing to it."""

import math

from torch import Tensor
from torch.nn import functional as F

LARGEST_MAP = 64  # pixels a side


def working_grid(latent: tuple[int, int], pixels: int) -> tuple[int, int]:
    """(rows, columns) of about so many pixels in the latent's shape, so that top_k means the same at every size."""
    h, w = latent
    scale = math.sqrt(pixels / (h * w))
    return max(1, round(h * scale)), max(1, round(w * scale))


def resize_bilinear(values: Tensor, grid: tuple[int, int], align_corners: bool) -> Tensor:
    """Bilinear resize of [B, h, w, C] to float32 [B, *grid, C].

    align_corners, as published, pulls the outermost pixels' centres onto the picture's edge: what is near the edge
    moves outwards by up to half a pixel of the map. Without it everything stays in its place.
    """
    resized = F.interpolate(values.movedim(-1, 1).float(), grid, mode="bilinear", align_corners=align_corners)
    return resized.movedim(1, -1)


def pool_map(values: Tensor) -> Tensor:
    """A map [B, h, w, C] at no more than 64 x 64 pixels, means of those that each covers; smaller ones as they are.

    Segments need no more, and their Gram matrix grows with the square of the pixels.
    """
    size = (min(values.shape[1], LARGEST_MAP), min(values.shape[2], LARGEST_MAP))
    if size == values.shape[1:3]:
        return values
    return F.adaptive_avg_pool2d(values.movedim(-1, 1), size).movedim(1, -1)


def resize_nearest(region: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest resize of a region or labels [B, H, W] to [B, *size], in its own type.

    Source index floor(i * H / h), as OpenCV's nearest in the published code (pipeline.py, AttentionProcessor).
    """
    rows, columns = (_source(length, wanted) for length, wanted in zip(region.shape[1:], size, strict=True))
    return region[:, rows][:, :, columns]


def max_pool_region(region: Tensor, size: tuple[int, int]) -> Tensor:
    """A region [B, H, W] at [B, *size], in its own type: each pixel has the highest value of all that it touches.

    Unlike with `resize_nearest`, nothing of the region is lost between the pixels of a coarse layer.
    """
    return F.adaptive_max_pool2d(region[:, None].float(), size)[:, 0].to(region.dtype)


def _source(length: int, wanted: int) -> list[int]:
    return [i * length // wanted for i in range(wanted)]
