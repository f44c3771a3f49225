"""The region of interest: the segments that the words attend to, along the picture's own outlines."""

import math

import torch
from torch import Tensor

from .grid import resize_nearest
from .resampling import resize
from .settings import Settings

REFINED = 2 * 1024**2  # pixels of a picture that outlines are read from at most: a larger one is scaled


def find_region(labels: Tensor, attention: Tensor, picture: Tensor, map_pixel: float, settings: Settings) -> Tensor:
    """The region in the picture's size: bool [B, H, W].

    labels: integer [B, h, w], segments of the working grid; attention: float [B, h, w] there. picture: float
    [B, H, W, 3] in [0, 1]. map_pixel: picture pixels to a pixel of the finest map that the segments were cut from, by
    which the region's outline may be off.
    """
    if settings.by_mean_attention:
        region = select_segments(labels, attention, settings.threshold)
    else:
        region = select_roi(labels, attention, settings.top_k)
    size = (picture.shape[1], picture.shape[2])
    if not settings.follow_outlines:
        return resize_nearest(region, size)
    scale = min(1.0, math.sqrt(REFINED / (size[0] * size[1])))
    seen = (round(size[0] * scale), round(size[1] * scale))
    radius = max(1, round(map_pixel * scale))
    region = resize_nearest(region, seen)
    region = refine_region(region, resize(picture, seen, "bilinear"), radius, settings.outline_variance)
    return region if seen == size else resize(region[..., None], size, "bilinear")[..., 0] > 0.5


def select_roi(labels: Tensor, attention: Tensor, top_k: int) -> Tensor:
    """Union of all segments that own at least one of the top_k hottest pixels: bool [B, H, W].

    labels: integer [B, H, W]; attention: float [B, H, W]. top_k above the number of pixels means all of them. An image
    whose attention is 0 everywhere (no word was chosen) gets an empty region. Source: section 3.2 of the paper;
    utils.py, locate_points and extract_binary_mask.

    Raises ValueError when shapes disagree or top_k is below 1.
    """
    _check(labels, attention)
    if top_k < 1:
        raise ValueError(f"top_k is {top_k}: expected at least 1")
    hottest = attention.flatten(1).topk(min(top_k, attention[0].numel())).indices
    chosen = labels.flatten(1).gather(1, hottest.to(labels.device))
    return torch.stack(
        [
            torch.isin(segments, own) if heat.any() else torch.zeros_like(segments, dtype=torch.bool)
            for segments, own, heat in zip(labels, chosen, attention, strict=True)
        ]
    )


def select_segments(labels: Tensor, attention: Tensor, threshold: float) -> Tensor:
    """Union of all segments whose mean attention is at least `threshold` of the hottest segment's: bool [B, H, W].

    labels: integer [B, H, W], from 0; attention: float [B, H, W], at least 0; threshold in (0, 1]. A segment counts by
    all its pixels: one hot pixel at the edge of the background does not bring in the background, as it does in
    `select_roi`. An image whose attention is 0 everywhere gets an empty region.

    Raises ValueError when shapes disagree or threshold is outside (0, 1].
    """
    _check(labels, attention)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}: expected a value above 0, up to 1")
    regions = []
    for segments, heat in zip(labels, attention.to(labels.device), strict=True):
        own = segments.flatten()
        mean = heat.new_zeros(int(own.max()) + 1).scatter_reduce(0, own, heat.flatten(), "mean", include_self=False)
        regions.append((mean >= threshold * mean.max())[segments] & bool(heat.any()))
    return torch.stack(regions)


def refine_region(region: Tensor, picture: Tensor, radius: int, outline_variance: float) -> Tensor:
    """The region with its outline moved to the picture's nearest outline: bool [B, H, W].

    region: bool [B, H, W]; picture: float [B, H, W, 3] in [0, 1]; radius: how many pixels the outline may be off by, at
    least 1: about one pixel of the map that the segments were cut from. outline_variance: of colours, above which they
    count as an outline. A guided filter (He et al., "Guided Image Filtering") of the region, cut at one half. A region
    too small to survive it stays as it was.

    Raises ValueError when shapes disagree or radius is below 1.
    """
    if picture.shape != (*region.shape, 3):
        raise ValueError(
            f"region is {list(region.shape)} and picture is {list(picture.shape)}: expected [B, H, W] and [B, H, W, 3]"
        )
    if radius < 1:
        raise ValueError(f"radius is {radius}: expected at least 1")
    from kornia.filters import guided_blur  # slow to import where the host has not done so

    coarser = max(1, radius // 4)  # filtering at a lower resolution gives the same outline, many times faster
    guide, soft = picture.movedim(-1, 1).float(), region[:, None].to(picture.device, torch.float32)
    refined = guided_blur(guide, soft, 2 * radius + 1, outline_variance, "replicate", coarser)[:, 0] > 0.5
    survived = refined.flatten(1).any(1)[:, None, None]
    return torch.where(survived, refined, region.to(refined.device))


def _check(labels: Tensor, attention: Tensor) -> None:
    if labels.shape != attention.shape or labels.ndim != 3:
        raise ValueError(
            f"labels are {list(labels.shape)} and attention is {list(attention.shape)}: expected both as [B, H, W]"
        )
