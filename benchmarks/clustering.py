"""Clustering against scikit-learn's KMeans on the fused feature map."""

import statistics
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from .sd15 import host
from .timing import seconds

Layers = tuple[tuple[int, int], ...]  # (pixels a side, channels)

STARTS = 10  # of K-means, the published number
LAYERS = ((32, 640), (16, 1280))  # SD1.5's recorded layers at 512 px
MAPS = 10  # of each


def clustering_costs(rounds: int, measured: int, layers: Layers = LAYERS) -> dict[str, list[float]]:
    """Seconds of the pack's clustering, and the same over those of ten starts of scikit-learn's.

    measured: of scikit-learn's starts, see `ten_starts`.
    """
    ops = host().lime_ops
    settings = ops.RECOMMENDED
    maps = structured_maps(layers)
    grid = ops.working_grid((64, 64), settings.grid_pixels)
    align = settings.align_corners

    def ours() -> None:
        ops.segment_features(maps, grid, settings.clusters, align_corners=align)

    ours()
    own = [seconds(ours) for _ in range(rounds)]
    dense = ten_starts(lambda: ops.fuse_features(maps, grid, align_corners=align)[0], settings.clusters, measured)
    return {"clustering": [s / dense for s in own], "clustering_seconds": own}


def ten_starts(fuse: Callable[[], Tensor], clusters: int, measured: int) -> float:
    """Seconds of fusing a map [h, w, C] and of ten starts of KMeans on it: ten times the mean of `measured` starts."""
    from sklearn.cluster import KMeans

    pixels = fuse().flatten(0, 1).numpy()
    estimators = [KMeans(clusters, n_init=1, random_state=seed) for seed in range(measured)]
    starts = [seconds(partial(e.fit, pixels)) for e in estimators]
    return seconds(fuse) + STARTS * statistics.mean(starts)


def structured_maps(layers: Layers = LAYERS, kinds: int = 8, seed: int = 0) -> list[Tensor]:
    """Maps [1, side, side, channels]: regions of unlike features, smooth within, with noise."""
    generator = torch.Generator().manual_seed(seed)
    plan = torch.randn(1, kinds, 8, 8, generator=generator)
    maps = []
    for side, channels in layers:
        share = F.interpolate(plan, (side, side), mode="bicubic")[0].mul(3).softmax(0)
        for _ in range(MAPS):
            basis = torch.randn(kinds, channels, generator=generator)
            noise = 0.3 * torch.randn(side, side, channels, generator=generator)
            maps.append((torch.einsum("khw,kc->hwc", share, basis) + noise)[None])
    return maps
