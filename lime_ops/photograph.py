"""The whole way back: an edit aligned, recoloured and pasted into the photograph it was made from."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .alignment import align
from .colour import match_colours
from .compositing import bounding_box, common_batch, paste, shown_part
from .cropping import Crop, check_mask_shape, mask_on
from .resampling import Box, same_shape, stretch
from .settings import RECOMMENDED


def paste_back(
    picture: Tensor,
    edit: Tensor,
    mask: Tensor,
    border: int = RECOMMENDED.feather,
    crop: Crop | None = None,
    aligned: bool = True,
    matched: bool = True,
) -> tuple[Tensor, list[str]]:
    """(the picture with the edit inside the mask, a line an image on what was done to the edit).

    picture: [B, H, W, C] in [0, 1]; edit: [B, h, w, C'] of any size; mask: [B, H', W'], of the picture at any size, or
    of the crop at its size or the edit's; B is 1 where one serves all. border: pixels of the edit over which it fades
    out beyond the mask. crop: what the edit shows, if it was cropped (see `crop_around`); by default what `shown_part`
    says. aligned, matched: whether shift and tint are looked for. Outside the feathered mask, and in channels past the
    third, every value is the picture's own.

    Raises ValueError when batches, shapes or border do not fit.
    """
    batch = common_batch(image=picture, edited=edit, mask=mask)
    size, edit_size = (picture.shape[1], picture.shape[2]), (edit.shape[1], edit.shape[2])
    crop = crop or Crop(shown_part(size, edit_size), edit_size)
    part = crop.part
    _check_shapes(part, size, edit_size)
    view, mask = part.of(picture), _mask_of_part(mask, crop, size, edit_size)
    rows = [[each[min(row, len(each) - 1)] for each in (view, edit, mask)] for row in range(batch)]
    edits, matrices, _, lines = zip(*(without_drift(*row, aligned, matched) for row in rows), strict=True)
    return paste(picture, torch.stack(edits), mask, torch.stack(matrices), border, part), list(lines)


class Undrifted(NamedTuple):
    """One edit, and how it lies on its picture."""

    edit: Tensor  # float [h, w, C'], its tint undone
    matrix: Tensor  # [3, 3], the picture's pixels to its own
    kind: str  # of that transform, see `alignment.KINDS`
    said: str  # what was done, for people


def without_drift(picture: Tensor, edit: Tensor, mask: Tensor, aligned: bool = True, matched: bool = True) -> Undrifted:
    """An edit's shift found and its tint undone.

    picture: [H, W, C]; edit: [h, w, C']; mask: [H', W']. aligned, matched: as for `paste_back`.
    """
    plain = stretch(picture.shape[:2], edit.shape[:2])
    if not mask.any():
        return Undrifted(edit.float(), plain, "none", "nothing pasted: the mask is empty")
    found = align(picture, edit, mask) if aligned else None
    matrix, kind = (found.matrix, found.kind) if found else (plain, "none")
    curves = match_colours(picture, edit, mask, matrix) if matched else None
    line = "; ".join(each.summary for each in (found, curves) if each)
    return Undrifted((curves.apply(edit) if curves else edit).float(), matrix, kind, line or "pasted as it came")


def _mask_of_part(mask: Tensor, crop: Crop, size: Sequence[int], edit: Sequence[int]) -> Tensor:
    """The mask over the part alone: one of the crop's or the edit's size may be of the part, any other is not."""
    own = (mask.shape[1], mask.shape[2])
    if own in (edit, crop.size) and _is_of_part(mask, crop, size):
        return mask
    if crop.part == (0, 0, *size):  # at the mask's own size, whatever the picture's
        check_mask_shape(own, size)
        return mask
    return crop.part.of(mask_on(mask, size))


def _is_of_part(mask: Tensor, crop: Crop, size: Sequence[int]) -> bool:
    """Whether a mask of the part's size is of the part.

    It may be of the whole picture, scaled to that size: then it is of what brings it nearer to what was cropped around.
    """
    own = (mask.shape[1], mask.shape[2])
    if crop.around is None or not same_shape(own, size):
        return own != size
    found = bounding_box(mask)
    if found is None:
        return True
    whole = Box(0, 0, *size)
    return _overlap(_placed(found, own, crop.part), crop.around) >= _overlap(_placed(found, own, whole), crop.around)


def _placed(box: Box, size: Sequence[int], part: Box) -> Box:
    """Where a box in something of (height, width) `size` lies, if that shows a part of a picture."""
    down, right = part.height / size[0], part.width / size[1]
    top, left = part.top + round(box.top * down), part.left + round(box.left * right)
    return Box(top, left, round(box.height * down), round(box.width * right))


def _overlap(box: Box, other: Box) -> float:
    """Intersection over union."""
    sides = (
        max(0, min(start + length, begin + reach) - max(start, begin))
        for start, length, begin, reach in zip(box[:2], box[2:], other[:2], other[2:], strict=True)
    )
    both = math.prod(sides)
    return both / (box.height * box.width + other.height * other.width - both)


def _check_shapes(part: Box, size: Sequence[int], edit: Sequence[int]) -> None:
    if part.top + part.height > size[0] or part.left + part.width > size[1]:
        raise ValueError(
            f"the crop reaches to {part.left + part.width}x{part.top + part.height} but the picture is "
            f"{size[1]}x{size[0]} (width x height): give the picture that was cropped, at the same size"
        )
    if not same_shape((part.height, part.width), edit):
        raise ValueError(
            f"the edit is {edit[1]}x{edit[0]} but what it was made from is {part.width}x{part.height} (width x "
            "height): expected an edit of that picture, at any size but in its shape"
        )
