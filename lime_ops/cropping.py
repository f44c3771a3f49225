"""Crops around a mask: something small in a large photograph, edited at full detail."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from .compositing import bounding_box
from .resampling import Box, resize, same_shape

LEAST_CONTEXT = 32  # pixels of the picture around the mask, whatever the share


class Crop(NamedTuple):
    """The part of a picture that is edited, and the (height, width) at which a model sees it."""

    part: Box
    size: tuple[int, int]
    around: Box | None = None  # the masks' bounding box in the picture; None without a mask


def crop_around(
    mask: Tensor,
    picture: Sequence[int],
    context: float = 0.5,
    pixels: int = 1024 * 1024,
    multiple: int = 16,
    widest: float = 2.0,
) -> Crop:
    """The crop around all masks of a batch, with what is around them, at a size that a model likes.

    mask: [B, h, w], of a picture of (height, width) `picture`, at any size. context: how much to show on each side, as
    a share of the mask's longer side. pixels: about how many the model shall see. multiple: of which both sides of that
    size are. widest: the highest ratio of the two sides, where the picture is high or wide enough for it. The part has
    the size's shape and never leaves the picture.

    Raises ValueError when the mask is empty or of another shape than the picture, or a number is out of its range.
    """
    mask = mask_on(mask, picture)
    if context < 0 or widest < 1:
        raise ValueError(
            f"context is {context} and widest {widest}: expected context of 0 or more, widest of 1 or more"
        )
    _check_size(pixels, multiple)
    found = bounding_box(mask)
    if found is None:
        raise ValueError("mask is empty: there is nothing to crop around. Look at the mask, or draw one.")
    around = max(LEAST_CONTEXT, round(context * max(found.height, found.width)))
    height, width = (min(length + 2 * around, whole) for length, whole in zip(found[2:], picture, strict=True))
    ratio = min(max(width / height, 1 / widest), widest)
    ratio = min(max(ratio, width / picture[0]), picture[1] / height)  # nothing is squeezed
    size = _model_size(ratio, pixels, multiple, max(ratio, 1 / ratio, widest))
    height, width = _grown((height, width), size[1] / size[0], picture)
    top, left = (
        min(max(0, start + length // 2 - side // 2), whole - side)
        for start, length, side, whole in zip(found[:2], found[2:], (height, width), picture, strict=True)
    )
    return Crop(Box(top, left, height, width), size, found)


def whole_picture(size: Sequence[int], pixels: int = 1024 * 1024, multiple: int = 16) -> Crop:
    """All of a picture of (height, width) `size`, at a size that a model likes; see `crop_around`.

    Raises ValueError when a number is out of its range.
    """
    _check_size(pixels, multiple)
    return Crop(Box(0, 0, *size), _model_size(size[1] / size[0], pixels, multiple, math.inf))


def mask_on(mask: Tensor, picture: Sequence[int]) -> Tensor:
    """A mask [B, h, w] at its picture's (height, width): float [B, *picture].

    Raises ValueError when it is of another shape.
    """
    check_mask_shape((mask.shape[1], mask.shape[2]), picture)
    return resize(mask[..., None], picture, "bilinear")[..., 0]


def check_mask_shape(mask: Sequence[int], picture: Sequence[int]) -> None:
    """Raises ValueError when a mask of that (height, width) cannot be of a picture of this one."""
    if not same_shape(mask, picture):
        raise ValueError(
            f"mask is {mask[1]}x{mask[0]} but the picture is {picture[1]}x{picture[0]} (width x height): expected a "
            "mask of that picture, at any size"
        )


def crop_mask(mask: Tensor, picture: Sequence[int], crop: Crop) -> Tensor:
    """The part of a mask of a picture, see `crop_around`, at the size that the model sees: float [B, *crop.size]."""
    return resize(crop.part.of(mask_on(mask, picture))[..., None], crop.size, "bilinear")[..., 0]


def crop_picture(picture: Tensor, crop: Crop) -> Tensor:
    """The part of a picture [B, H, W, C] at the size that the model sees: float32 [B, *crop.size, C] in [0, 1]."""
    return resize(crop.part.of(picture), crop.size).clamp(0, 1)


def _check_size(pixels: int, multiple: int) -> None:
    if multiple < 1 or pixels < multiple**2:
        raise ValueError(
            f"pixels is {pixels} and multiple {multiple}: expected multiple of 1 or more, and at least multiple x "
            "multiple pixels"
        )


def _model_size(ratio: float, pixels: int, multiple: int, widest: float) -> tuple[int, int]:
    """(height, width) in whole multiples with about so many pixels: the one that keeps width / height best."""
    ideal = math.sqrt(pixels / ratio) / multiple
    heights = range(max(1, round(0.95 * ideal)), max(1, round(1.05 * ideal)) + 1)
    sizes = [(height, max(1, round(height * ratio))) for height in heights]
    height, width = min(
        sizes, key=lambda size: (round(abs(math.log(size[1] / size[0] / ratio)), 3), abs(size[0] - ideal))
    )
    if max(width / height, height / width) > widest:  # rounding went past the limit
        width, height = min(width, int(height * widest)), min(height, int(width * widest))
    return height * multiple, width * multiple


def _grown(part: Sequence[int], ratio: float, picture: Sequence[int]) -> tuple[int, int]:
    """(height, width) of a part, one side lengthened towards this width / height, within the picture."""
    height, width = part
    return min(max(height, round(width / ratio)), picture[0]), min(max(width, round(height * ratio)), picture[1])
