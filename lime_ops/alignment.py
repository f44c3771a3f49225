"""Where an edit lies on the picture it was made from, estimated from what should not have changed.

Editing models shift, zoom and resample the whole picture. The pixels outside the mask show by how much: correlation
there, which no gain or offset disturbs, is climbed from coarse to fine, at last apart on the two colours of a chequered
board. Each half judges the other's transform, and where they part says how sure it is.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .correlation import View
from .resampling import resize, stretch

KINDS = ("none", "shift", "shift and scale", "affine", "homography")  # the simplest first
LEVELS = (128, 256, 512)  # pixels of the long side, coarse to fine
ALIKE = 0.5  # of the variance outside must be explained, or it is another picture
GAIN = 0.03  # a richer transform must leave this share less unexplained
UNSURE = 0.5  # pixels (long side 1024) of error that are always allowed,
UNSURE_SHARE, UNSURE_MOST = 0.2, 3.0  # or this share of what is undone, up to so many pixels
FARTHEST = 400.0  # pixels (long side 1024) that a corner may have gone


class Alignment(NamedTuple):
    """Where each pixel of a picture lies in an edit of it.

    matrix: float64 [3, 3], from (x, y, 1) in the picture's pixels to the edit's, both counted from the centre of the
    first pixel. kind: one of KINDS; "none" is the plain stretch from size to size. error: what the transform may be off
    by in the picture's corners, in pixels of an edit whose long side is 1024. summary: what was found, or why nothing
    was done, for people.
    """

    kind: str
    matrix: Tensor
    error: float
    summary: str


def align(picture: Tensor, edit: Tensor, mask: Tensor) -> Alignment:
    """The simplest transform that explains an edit outside the mask, or none and why.

    picture: [H, W, C] in [0, 1]; edit: [h, w, C] of any size; mask: [H', W'] of any size, above 0 where the edit was
    meant to change the picture. Needs OpenCV; without it nothing is aligned, and the summary says so.
    """
    plain = stretch(picture.shape[:2], edit.shape[:2])
    cv2 = _opencv()
    if cv2 is None:
        return Alignment("none", plain, 0.0, "not aligned: OpenCV is missing (pip install opencv-python-headless)")
    longest = max(*picture.shape[:2], *edit.shape[:2])
    levels = [side for i, side in enumerate(LEVELS) if i < 2 or side < 2 * longest]  # finer ones would show no more
    size = _sized(picture.shape, levels[-1])
    planes = [_resized(_grey(picture), size), _resized(_grey(edit), size), _resized(mask, size)]
    views = [View(cv2, *(_resized(plane, _sized(size, side)) for plane in planes)) for side in levels]
    finest = views[-1]
    if (reason := finest.unfit()) is not None:
        return Alignment("none", plain, 0.0, f"not aligned: {reason}")
    found = _estimate(views)
    if isinstance(found, str):
        return Alignment("none", plain, 0.0, f"not aligned: {found}")
    kind, moved, error = found
    matrix = stretch(size, edit.shape[:2]) @ torch.from_numpy(moved) @ stretch(picture.shape[:2], size)
    return Alignment(kind, matrix, error, _summary(kind, moved, error, size))


def _opencv() -> ModuleType | None:
    """OpenCV if it is there and whole: its wheels overwrite one another, so that users choose which they have."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2 if hasattr(cv2, "findTransformECC") else None  # what is left of an overwritten wheel is an empty name


def _estimate(views: list[View]) -> tuple[str, np.ndarray, float] | str:
    """(kind, transform at the finest level, error), or why there is none."""
    finest = views[-1]
    coarse = _coarse(views[:-1])
    last = "homography" if _bends(views[-2], coarse) else "affine"
    start = _rescaled(coarse, views[-2].size, finest.size)
    halves = [finest.outside & board for board in finest.boards()]
    fits = [_ladder(finest, start, half, last) for half in halves]
    kinds = [kind for kind in KINDS if all(kind in fit for fit in fits)]
    left = {
        kind: sum(finest.unexplained(fit[kind], other) for fit, other in zip(fits, halves[::-1], strict=True)) / 2
        for kind in kinds
    }
    best = min(left.values())
    simplest = next(kind for kind in kinds if left[kind] <= best / (1 - GAIN))
    if best > 1 - ALIKE:
        return "outside the mask the edit does not resemble the picture"
    if simplest == "none":
        return "no drift found"
    for kind in reversed(kinds[1 : kinds.index(simplest) + 1]):  # simpler ones where that one is not sure
        matrix = (fits[0][kind] + fits[1][kind]) / 2
        error = _corner_distance(fits[0][kind], fits[1][kind], finest.size) / 2
        moved = _corner_distance(matrix, np.eye(3), finest.size)
        if error > max(UNSURE, min(UNSURE_SHARE * moved, UNSURE_MOST)) or moved > FARTHEST:
            continue
        whole = _ladder(finest, matrix, finest.outside, kind).get(kind)
        if whole is not None and finest.unexplained(whole, finest.outside) < left["none"]:
            return kind, whole, error
    return "it would not help, or not surely"


def _coarse(views: list[View]) -> np.ndarray:
    """The affine transform at the last of `views`, climbed from the better of no shift and the phases' shift."""
    first = views[0]
    starts = [np.eye(3), first.phase_shift()]
    matrix = min(starts, key=lambda start: first.unexplained(start, first.outside))
    matrix = _first(first.climb(matrix, "shift", first.outside), matrix)
    for i, view in enumerate(views):
        matrix = _rescaled(matrix, views[max(0, i - 1)].size, view.size)
        matrix = _first(view.climb(matrix, "affine", view.outside), matrix)
    return matrix


def _bends(view: View, affine: np.ndarray) -> bool:
    """Whether a homography is worth its time at the finest level: whether it explains more at this one."""
    homography = view.climb(affine, "homography", view.outside)
    if homography is None:
        return False
    return view.unexplained(homography, view.outside) < (1 - GAIN) * view.unexplained(affine, view.outside)


def _first(found: np.ndarray | None, otherwise: np.ndarray) -> np.ndarray:
    return otherwise if found is None else found


def _ladder(view: View, start: np.ndarray, where: np.ndarray, last: str) -> dict[str, np.ndarray]:
    """The best transform of each kind up to `last`, from pixels `where`; those that cannot be estimated are absent."""
    fits = {"none": np.eye(3)}
    affine = view.climb(start, "affine", where)
    if affine is None:
        return fits
    fits |= {kind: view.simplify(affine, kind, where) for kind in ("shift", "shift and scale")} | {"affine": affine}
    if last == "homography" and (homography := view.climb(affine, "homography", where)) is not None:
        fits["homography"] = homography
    return fits


def _grey(picture: Tensor) -> Tensor:
    """[H, W]: brightness of [H, W, C], alpha left out."""
    return picture[..., 0] if picture.shape[-1] < 3 else picture[..., :3].mean(-1)


def _resized(plane: Tensor, size: Sequence[int]) -> Tensor:
    """Float32 [*size] on the CPU, of [H, W]."""
    return resize(plane[None, ..., None], size, "bilinear")[0, ..., 0].nan_to_num().cpu()


def _sized(size: tuple[int, ...], side: int) -> tuple[int, int]:
    """(height, width) in the shape of `size`, the long side `side` pixels."""
    scale = side / max(size[:2])
    return max(8, round(size[0] * scale)), max(8, round(size[1] * scale))


def _rescaled(matrix: np.ndarray, size: Sequence[int], other: Sequence[int]) -> np.ndarray:
    """A transform within pictures of `size`, for the same pictures at the `other` size."""
    up = stretch(size, other).numpy()
    return up @ matrix @ np.linalg.inv(up)


def _corner_distance(a: np.ndarray, b: np.ndarray, size: Sequence[int]) -> float:
    """How far two transforms part in the corners, at most, in pixels of a long side of 1024."""
    right, bottom = size[1] - 1, size[0] - 1
    corners = np.array([[0, 0, 1], [right, 0, 1], [0, bottom, 1], [right, bottom, 1]])
    one, two = ((corners @ m.T)[:, :2] / (corners @ m.T)[:, 2:] for m in (a, b))
    return float(np.linalg.norm(one - two, axis=1).max() * 1024 / max(size))


def _summary(kind: str, moved: np.ndarray, error: float, size: Sequence[int]) -> str:
    """What was undone, in pixels of a long side of 1024, for it is read beside pictures of any size."""
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2, 1])
    x, y = (moved @ centre)[:2] / (moved @ centre)[2] - centre[:2]
    scale = np.sqrt(abs(np.linalg.det(moved[:2, :2])))
    unit = 1024 / max(size)
    return (
        f"aligned ({kind}): the edit was off by {x * unit:+.1f}, {y * unit:+.1f} px of 1024, scaled by {scale:.4f}; "
        f"sure to {error:.2f} px"
    )
