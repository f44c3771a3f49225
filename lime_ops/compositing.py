"""An edit pasted into the picture it was made from.

Pictures are [B, H, W, C] in [0, 1], masks [B, H, W] in [0, 1]; B is 1 where one serves all. The feather is made on
the edit's pixels, and the picture's are worked on in strips of rows within its box: beyond the result itself, a
photograph of any size needs the same memory.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .grid import max_pool_region
from .resampling import Box, fitted, resample, stretch
from .settings import RECOMMENDED

CROP = 8  # pixels: InstructPixToPixConditioning cuts less than this off each direction, evenly
STRIP = 2**20  # pixels that are resampled at a time


def feather(mask: Tensor, pixels: int) -> Tensor:
    """The mask with a border in which it falls to 0: what is inside stays, and the last of it is `pixels` away.

    Float32 [B, H, W]. Grown by two thirds of `pixels`, then averaged over one third to each side.
    """
    blur = pixels // 3
    grow = pixels - blur
    planes = mask[:, None].float()
    for window in ((2 * grow + 1, 1), (1, 2 * grow + 1)):  # a square, as a column and a row
        planes = F.max_pool2d(planes, window, 1, tuple(side // 2 for side in window))
    planes = F.pad(planes, (blur,) * 4, mode="replicate")
    for window in ((2 * blur + 1, 1), (1, 2 * blur + 1)):
        planes = F.avg_pool2d(planes, window, 1)
    return planes[:, 0].clamp(0, 1)


def bounding_box(mask: Tensor) -> Box | None:
    """The smallest box around all that is above 0 in any mask of the batch; None if nothing is."""
    there = (mask > 0).any(0)
    rows, columns = (there.any(axis).nonzero() for axis in (1, 0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def shown_part(picture: Sequence[int], edit: Sequence[int]) -> Box:
    """The part of a picture (height, width) that an edit shows: less than 8 px cut off evenly, or all of it scaled."""
    rest = [whole - part for whole, part in zip(picture, edit, strict=True)]
    if all(0 <= r < CROP for r in rest):
        return Box(rest[0] // 2, rest[1] // 2, *edit)
    return Box(0, 0, *picture)


def paste(
    picture: Tensor,
    edit: Tensor,
    mask: Tensor,
    matrices: Tensor | None = None,
    border: int = RECOMMENDED.feather,
    part: Box | None = None,
) -> Tensor:
    """The picture with the edit inside the mask, feathered; every other value is the picture's own, to the bit.

    picture: [B, H, W, C]; edit: [B, h, w, C'], at any size, of the part of the picture; mask: [B, H', W'], at any size,
    of that part. Channels past the third (alpha) stay the picture's. matrices: [B, 3, 3], the part's pixels to the
    edit's (see `align`); by default the edit is stretched over the part. border: pixels of the edit over which it fades
    out beyond the mask, 0 cuts. part: the whole picture by default; the edit has faded out before it ends.

    Raises ValueError when batches do not agree or border is below 0.
    """
    if border < 0:
        raise ValueError(f"border is {border}: expected 0 or more pixels")
    batch = common_batch(picture=picture, edit=edit, mask=mask)
    size = (picture.shape[1], picture.shape[2])
    part = part or Box(0, 0, *size)
    if matrices is None:
        matrices = stretch((part.height, part.width), edit.shape[1:3])[None]
    grid = (edit.shape[1], edit.shape[2])
    soft = _clear_rim(mask, part, size, grid, border)
    soft = soft if border == 0 else _feathered(soft, grid, border)
    pasted = picture.expand(batch, -1, -1, -1).clone()
    for row in range(batch):
        one, where, matrix = (each[min(row, len(each) - 1)] for each in (edit, soft, matrices))
        _paste_one(part.of(pasted)[row], one, where, matrix)
    return pasted


def common_batch(**tensors: Tensor) -> int:
    """How many pictures there are, one of which may serve all. Raises ValueError when they do not agree."""
    most, batch = max(((name, len(tensor)) for name, tensor in tensors.items()), key=lambda each: each[1])
    for name, tensor in tensors.items():
        if len(tensor) not in (1, batch):
            raise ValueError(f"{name} has {len(tensor)} images but {most} has {batch}: expected 1 or as many.")
    return batch


def _paste_one(place: Tensor, edit: Tensor, soft: Tensor, matrix: Tensor) -> None:
    """Pastes one edit [h, w, C] into one picture [H, W, C], in place, by the weights soft [h', w']."""
    size, found = (place.shape[0], place.shape[1]), bounding_box(soft[None])
    if found is None:
        return
    colours = min(3, place.shape[-1])
    source, onto = fitted(_with_colours(edit[None], colours), matrix)
    weights, to_weights = fitted(soft[None, ..., None], stretch(size, soft.shape))
    for strip in _strips(_onto(found, soft.shape, size)):
        own = strip.of(place[None])[..., :colours]
        shown = resample(source, onto, strip).clamp(0, 1).to(own)
        weight = resample(weights, to_weights, strip, "bilinear").to(own)
        own.copy_(torch.lerp(own, shown, weight.expand_as(own)))  # exact where the weight is 0 or 1


def _feathered(mask: Tensor, grid: Sequence[int], border: int) -> Tensor:
    """The mask on the edit's pixels, feathered: of several that a pixel of the edit covers, the highest counts.

    So the mask grows by up to a pixel of the edit where its own are finer, which the border is shortened by.
    """
    own = mask.shape[1:]
    cover = (min(own[0], grid[0]), min(own[1], grid[1]))
    mask = max_pool_region(mask.float(), cover)
    mask = mask if cover == tuple(grid) else F.interpolate(mask[:, None], grid, mode="bilinear")[:, 0]
    grown = round(1 - min(1.0, *(after / before for after, before in zip(grid, own, strict=True))))
    return feather(mask, max(1, border - grown))


def _strips(box: Box) -> list[Box]:
    rows = max(1, STRIP // box.width)
    bottom = box.top + box.height
    return [Box(top, box.left, min(rows, bottom - top), box.width) for top in range(box.top, bottom, rows)]


def _onto(box: Box, size: Sequence[int], other: Sequence[int]) -> Box:
    """The part of a picture of the `other` size that a box of one of `size` touches, interpolation included."""
    wide = box.wider(1, size)
    (top, bottom), (left, right) = (
        (start * wanted // own, -(-(start + length) * wanted // own))
        for start, length, own, wanted in zip(wide[:2], wide[2:], size, other, strict=True)
    )
    return Box(top, left, bottom - top, right - left)


def _clear_rim(mask: Tensor, part: Box, size: Sequence[int], edit: Sequence[int], border: int) -> Tensor:
    """The mask of a part without what is so near to the part's own borders that its feather would be cut there."""
    if part == (0, 0, *size):
        return mask
    rows, columns = (-(-border * own // of) for own, of in zip(mask.shape[1:], edit, strict=True))
    height, width = mask.shape[1:]
    bottom = height - rows if part.top + part.height < size[0] else height
    right = width - columns if part.left + part.width < size[1] else width
    kept = torch.zeros_like(mask)
    middle = (..., slice(rows if part.top else 0, bottom), slice(columns if part.left else 0, right))
    kept[middle] = mask[middle]
    return kept


def _with_colours(edit: Tensor, colours: int) -> Tensor:
    """The edit with one or three channels and without NaN, which would spread to where its weight is 0."""
    edit = edit[..., :3].nan_to_num()
    if colours == 1:
        return edit.mean(-1, keepdim=True)
    return edit.expand(*edit.shape[:-1], colours) if edit.shape[-1] == 1 else edit
