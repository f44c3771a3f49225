"""Pictures resampled through a transform of pixels, part by part."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

SHAPE = 1.25  # pictures whose sides' ratios differ more than this are not of the same thing


class Box(NamedTuple):
    """A part of a picture, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: Tensor) -> Tensor:
        """The view of this part of a picture [B, H, W, C] or a mask [B, H, W]."""
        return picture[:, self.top : self.top + self.height, self.left : self.left + self.width]

    def wider(self, margin: int, size: Sequence[int]) -> "Box":
        """This box with a margin, as far as a picture of `size` (height, width) reaches."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        bottom, right = min(size[0], self.top + self.height + margin), min(size[1], self.left + self.width + margin)
        return Box(top, left, bottom - top, right - left)


def same_shape(size: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two (height, width) may be of one picture, scaled and cropped a little."""
    ratio = size[1] / size[0] * other[0] / other[1]
    return max(ratio, 1 / ratio) <= SHAPE


def stretch(size: Sequence[int], other: Sequence[int]) -> Tensor:
    """Float64 [3, 3]: pixels of a picture of `size` (height, width) to those of the same at the `other`, edge on edge.

    Pixels are (x, y, 1), counted from the centre of the first one.
    """
    y, x = other[0] / size[0], other[1] / size[1]
    return torch.tensor([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]], dtype=torch.float64)


def resize(picture: Tensor, size: Sequence[int], mode: str = "bicubic") -> Tensor:
    """A picture [B, H, W, C] at [B, *size, C], float32, filtered where it shrinks."""
    if picture.shape[1:3] == size:
        return picture.float()
    return F.interpolate(picture.movedim(-1, 1).float(), size, mode=mode, antialias=True).movedim(1, -1)


def resample(source: Tensor, matrix: Tensor, box: Box, mode: str = "bicubic") -> Tensor:
    """What `source` shows in a box of the picture that it is laid on: float32 [1, box.height, box.width, C].

    source: [1, h, w, C]; matrix: [3, 3], the picture's pixels to the source's. What lies beyond the source mirrors it.
    The source is not filtered: see `fitted`.
    """
    if torch.equal(matrix, torch.eye(3).to(matrix)) and _within(box, source.shape[1:3]):
        return box.of(source).float()
    height, width = source.shape[1:3]
    # to grid_sample's coordinates, -1 to 1 from edge to edge, in double precision: 1/1000 px of 6,000 is too much
    scaled = torch.tensor([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]]).double()
    onto = scaled @ matrix.double().cpu()
    x = torch.arange(box.left, box.left + box.width, dtype=torch.float64)
    y = torch.arange(box.top, box.top + box.height, dtype=torch.float64)[:, None]
    rows = [(row[0] * x + row[1] * y + row[2]).float() for row in onto.tolist()]
    grid = torch.stack([rows[0] / rows[2], rows[1] / rows[2]], -1)[None].to(source.device)
    planes = source.movedim(-1, 1).float()
    return F.grid_sample(planes, grid, mode, "reflection", align_corners=False).movedim(1, -1)


def fitted(source: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(source, matrix) for `resample`, the source shrunk first where its pixels are finer than the picture's."""
    finer = float(torch.linalg.det(matrix[:2, :2].double()).abs().sqrt())
    if finer <= 1:
        return source, matrix
    size = source.shape[1:3]
    small = tuple(max(1, round(length / finer)) for length in size)
    return resize(source, small), stretch(size, small).to(matrix) @ matrix


def _within(box: Box, size: Sequence[int]) -> bool:
    return box.top + box.height <= size[0] and box.left + box.width <= size[1]
