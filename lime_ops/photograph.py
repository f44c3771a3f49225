"""The whole way back: an edit aligned, recoloured and pasted into the photograph it was made from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .alignment import align
from .colour import match_colours
from .compositing import common_batch, paste, shown_part
from .resampling import Box, resize, stretch

SHAPE = 1.25  # an edit whose sides' ratio differs more than this from its picture's is of another picture


def paste_back(
    picture: Tensor,
    edit: Tensor,
    mask: Tensor,
    border: int = 9,
    part: Box | None = None,
    aligned: bool = True,
    matched: bool = True,
) -> tuple[Tensor, list[str]]:
    """(the picture with the edit inside the mask, a line an image on what was done to the edit).

    picture: [B, H, W, C] in [0, 1]; edit: [B, h, w, C'] of any size; mask: [B, H', W'], of the picture at any size, or
    of the part at the edit's; B is 1 where one serves all. border: pixels of the edit over which it fades out beyond
    the mask. part: what the edit shows, if it was cropped (see `crop_around`); by default what `shown_part` says.
    aligned, matched: whether shift and tint are looked for. Outside the feathered mask, and in channels past the third,
    every value is the picture's own.

    Raises ValueError when batches, shapes or border do not fit.
    """
    batch = common_batch(picture=picture, edit=edit, mask=mask)
    size, edit_size = (picture.shape[1], picture.shape[2]), (edit.shape[1], edit.shape[2])
    part = part or shown_part(size, edit_size)
    _check_shapes(part, size, edit_size)
    view, mask = part.of(picture), _mask_of_part(mask, part, size, edit_size)
    edits, matrices, lines = [], [], []
    for row in range(batch):
        own, one, where = (each[min(row, len(each) - 1)] for each in (view, edit, mask))
        found = align(own, one, where) if aligned else None
        matrix = found.matrix if found else stretch(own.shape[:2], edit_size)
        curves = match_colours(own, one, where, matrix) if matched else None
        edits.append((curves.apply(one) if curves else one).float())
        matrices.append(matrix)
        lines.append("; ".join(each.summary for each in (found, curves) if each))
    return paste(picture, torch.stack(edits), mask, torch.stack(matrices), border, part), lines


def _mask_of_part(mask: Tensor, part: Box, size: Sequence[int], edit: Sequence[int]) -> Tensor:
    """The mask over the part alone, at any size."""
    own = (mask.shape[1], mask.shape[2])
    if own == size:
        return part.of(mask)
    if own == edit or part == (0, 0, *size):
        shown = (part.height, part.width)
        if _unlike(own, shown):
            raise ValueError(
                f"mask is {own[1]}x{own[0]} but the picture is {size[1]}x{size[0]} (width x height): expected a mask "
                "of that picture, at any size"
            )
        return mask
    return part.of(resize(mask[..., None], size, "bilinear")[..., 0])


def _check_shapes(part: Box, size: Sequence[int], edit: Sequence[int]) -> None:
    if part.top + part.height > size[0] or part.left + part.width > size[1]:
        raise ValueError(
            f"the crop reaches to {part.left + part.width}x{part.top + part.height} but the picture is "
            f"{size[1]}x{size[0]} (width x height): give the picture that was cropped, at the same size"
        )
    if _unlike((part.height, part.width), edit):
        raise ValueError(
            f"the edit is {edit[1]}x{edit[0]} but what it was made from is {part.width}x{part.height} (width x "
            "height): expected an edit of that picture, at any size but in its shape"
        )


def _unlike(one: Sequence[int], other: Sequence[int]) -> bool:
    ratio = one[1] / one[0] * other[0] / other[1]
    return max(ratio, 1 / ratio) > SHAPE
