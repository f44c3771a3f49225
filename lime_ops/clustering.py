"""K-means segments of a picture's features, without ever building the features at full size.

Bilinear resizing is linear, so every centre is a weighted sum of native pixels, and all that Lloyd's algorithm asks of
the features are the inner products of native pixels: one Gram matrix for each resolution. Scores are computed there and
only one plane a cluster is resized. The labels are those of K-means on `fuse_features`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .features import check_features

ITERATIONS = 300  # scikit-learn's and cuML's default
TOLERANCE = 1e-4  # of the centres' total movement, in units of the features' mean variance; their default too
SAME = 1e-6  # squared distance of unit vectors below which two pixels are one point
BLOCK = 256  # pixels whose products with others are computed at once


class FeatureGram(NamedTuple):
    """What clustering needs of all layers of one size: the inner products of their native pixels."""

    products: Tensor  # float32 [B, n, n], summed over layers; n = h * w
    size: tuple[int, int]  # (h, w)
    channels: int  # of all layers together


def add_features(gram: FeatureGram | None, features: Tensor) -> FeatureGram:
    """The Gram matrix with one more layer's features [B, h, w, C] of its size; None: of none yet.

    The given one's memory is taken.
    """
    pixels, size, channels = features.flatten(1, 2).float(), (features.shape[1], features.shape[2]), features.shape[-1]
    images, count = pixels.shape[:2]
    products = pixels.new_zeros(images, count, count) if gram is None else gram.products
    for start in range(0, count, BLOCK):  # what lies below the diagonal is what lies above it
        rows, on = slice(start, start + BLOCK), slice(start, count)
        products[:, rows, on].baddbmm_(pixels[:, rows], pixels[:, on].mT)
        products[:, start + BLOCK :, rows] = products[:, rows, start + BLOCK :].mT
    return FeatureGram(products, size, channels + (gram.channels if gram else 0))


def feature_grams(maps: list[Tensor]) -> list[FeatureGram]:
    """One of each size. maps: a layer each, [B, h_i, w_i, C_i]. Raises ValueError as `segment_features` does."""
    check_features(maps)
    grams: dict[tuple[int, int], FeatureGram] = {}
    for layer in maps:
        size = (layer.shape[1], layer.shape[2])
        grams[size] = add_features(grams.get(size), layer)
    return list(grams.values())


def segment_features(
    maps: list[Tensor], grid: tuple[int, int], clusters: int, seed: int = 0, *, align_corners: bool
) -> Tensor:
    """Segment of each pixel of the grid: int64 [B, *grid], 0 <= label < clusters.

    maps: a layer each, [B, h_i, w_i, C_i]. K-means (k-means++ start, Lloyd) on the unit-length pixels of
    `fuse_features`; images are clustered apart. Features with fewer distinct points than clusters give fewer
    segments. Source: section 3.2 of the paper; utils.py, get_segmentation_map.

    Raises ValueError when there is no map, batches disagree, or clusters is below 1.
    """
    return segment_grams(feature_grams(maps), grid, clusters, seed, align_corners=align_corners)


def segment_grams(
    grams: Sequence[FeatureGram], grid: tuple[int, int], clusters: int, seed: int = 0, *, align_corners: bool
) -> Tensor:
    """`segment_features` of the maps that the Gram matrices were made from, on the device that they are on."""
    if clusters < 1:
        raise ValueError(f"clusters is {clusters}: expected at least 1")
    labels = []
    for image in range(grams[0].products.shape[0]):
        pixels = GramFeatures.of([g._replace(products=g.products[image]) for g in grams], grid, align_corners)
        starts = kmeans_plusplus(pixels, clusters, torch.Generator().manual_seed(seed))
        labels.append(lloyd(pixels, starts))
    return torch.stack(labels)


@dataclass(frozen=True)
class GramResolution:
    """The native pixels of all layers of one size, and how the grid is interpolated from them."""

    gram: Tensor  # [n, n], inner products of native pixels; n = h * w
    rows: Tensor  # [H, h], weights of bilinear resizing along the rows
    columns: Tensor  # [W, w]

    def to_grid(self, values: Tensor) -> Tensor:
        """[K, n] to [K, H, W]."""
        native = values.unflatten(1, (self.rows.shape[1], self.columns.shape[1]))
        return self.rows @ native @ self.columns.T

    def from_grid(self, weights: Tensor) -> Tensor:
        """Adjoint of to_grid: [K, H, W] to [K, n]."""
        return (self.rows.T @ weights @ self.columns).flatten(1)

    def squared_lengths(self) -> Tensor:
        """Squared length of each interpolated vector, [H, W]: a quadratic form of its four neighbours."""
        (row_weights, row), (column_weights, column) = (m.topk(min(2, m.shape[1])) for m in (self.rows, self.columns))
        near = row[:, None, :, None] * self.columns.shape[1] + column[None, :, None, :]  # [H, W, 2, 2]
        weights = (row_weights[:, None, :, None] * column_weights[None, :, None, :]).flatten(2)
        near = near.flatten(2)
        products = self.gram[near[..., :, None], near[..., None, :]]
        return torch.einsum("hwa,hwab,hwb->hw", weights, products, weights)


@dataclass(frozen=True)
class GramFeatures:
    """The grid's unit-length feature vectors, known by inner products only."""

    resolutions: list[GramResolution]
    scale: Tensor  # [H, W]: 1 / length of each interpolated vector; 0 where that is 0
    channels: int

    @classmethod
    def of(cls, grams: list[FeatureGram], grid: tuple[int, int], align_corners: bool) -> "GramFeatures":
        """From one image's Gram matrices, products [n, n]."""
        resolutions = []
        for products, size, _ in grams:
            weights = [_interpolation(n, g, align_corners).to(products) for n, g in zip(size, grid, strict=True)]
            resolutions.append(GramResolution(products, *weights))
        squared = torch.stack([r.squared_lengths() for r in resolutions]).sum(0)
        scale = torch.where(squared > 0, squared.clamp_min(torch.finfo(torch.float32).tiny).rsqrt(), 0.0)
        return cls(resolutions, scale, sum(g.channels for g in grams))

    def means(self, members: Tensor) -> "_Centres":
        """Weighted sums of pixels: members [K, H, W], each plane's weights."""
        weighted = members * self.scale
        return _Centres(self, [r.from_grid(weighted) for r in self.resolutions])


@dataclass(frozen=True)
class _Centres:
    """K vectors, each a weighted sum of native pixels."""

    pixels: GramFeatures
    weights: list[Tensor]  # for each resolution [K, n]

    def products(self) -> Tensor:
        """Inner product of each centre with each pixel: [K, H, W]."""
        planes = [r.to_grid(w @ r.gram) for r, w in zip(self.pixels.resolutions, self.weights, strict=True)]
        return torch.stack(planes).sum(0) * self.pixels.scale

    def squared_lengths(self) -> Tensor:
        """[K]."""
        parts = [((w @ r.gram) * w).sum(1) for r, w in zip(self.pixels.resolutions, self.weights, strict=True)]
        return torch.stack(parts).sum(0)

    def minus(self, other: "_Centres") -> "_Centres":
        return _Centres(self.pixels, [a - b for a, b in zip(self.weights, other.weights, strict=True)])


def _interpolation(native: int, grid: int, align_corners: bool) -> Tensor:
    """[grid, native]: weights of linear resizing."""
    return F.interpolate(torch.eye(native)[None], grid, mode="linear", align_corners=align_corners)[0].T


def kmeans_plusplus(pixels: GramFeatures, clusters: int, generator: torch.Generator) -> list[int]:
    """Flat indices of the starting pixels: greedy k-means++, as scikit-learn's."""
    count = pixels.scale.numel()
    starts = [int(torch.randint(count, (1,), generator=generator))]
    nearest = _squared_distances(pixels, starts)[0]
    trials = 2 + int(math.log(clusters))
    while len(starts) < clusters and nearest.max() > SAME:
        candidates = torch.multinomial(nearest.cpu(), trials, replacement=True, generator=generator).tolist()
        distances = torch.minimum(_squared_distances(pixels, candidates), nearest)
        best = int(distances.sum(1).argmin())
        starts.append(candidates[best])
        nearest = distances[best]
    return starts


def _squared_distances(pixels: GramFeatures, chosen: list[int]) -> Tensor:
    """Squared distance of all pixels to each chosen one: [K, H * W]."""
    centres = _at(pixels, chosen)
    lengths = (pixels.scale > 0).float()  # of unit vectors, or of none
    return (lengths + centres.squared_lengths()[:, None, None] - 2 * centres.products()).flatten(1).clamp_min(0)


def _at(pixels: GramFeatures, chosen: list[int]) -> _Centres:
    index = torch.tensor(chosen, device=pixels.scale.device)
    return pixels.means(F.one_hot(index, pixels.scale.numel()).to(pixels.scale).unflatten(1, pixels.scale.shape))


def lloyd(pixels: GramFeatures, starts: list[int]) -> Tensor:
    """Labels [H, W] after Lloyd's iterations from the pixels at flat indices `starts`."""
    centres = _at(pixels, starts)
    average = pixels.means(torch.full_like(pixels.scale, 1 / pixels.scale.numel())[None])
    variance = (pixels.scale > 0).float().mean() - average.squared_lengths()[0]
    tolerance = TOLERANCE * variance / pixels.channels
    labels = None
    for _ in range(ITERATIONS):
        distances = centres.squared_lengths()[:, None, None] - 2 * centres.products()
        new = distances.argmin(0)
        if labels is not None and torch.equal(new, labels):
            break
        labels = new
        members = F.one_hot(labels, len(starts)).movedim(-1, 0).to(pixels.scale)
        sizes = members.sum((1, 2))
        moved = pixels.means(members / sizes.clamp_min(1)[:, None, None])
        for weights, before in zip(moved.weights, centres.weights, strict=True):
            weights[sizes == 0] = before[sizes == 0]  # a centre without members stays where it is
        shift = moved.minus(centres).squared_lengths().sum()
        centres = moved
        if shift <= tolerance:
            labels = (centres.squared_lengths()[:, None, None] - 2 * centres.products()).argmin(0)
            break
    return labels
