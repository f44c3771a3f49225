"""Where an edit lies on the picture it was made from, estimated from what should not have changed.

Editing models shift, zoom and resample the whole picture. The pixels outside the mask show by how much. OpenCV climbs
the enhanced correlation coefficient there, which no gain or offset disturbs (Evangelidis and Psarakis, "Parametric
Image Alignment Using Enhanced Correlation Coefficient Maximization", PAMI 2008), from coarse to fine, at last apart on
the two colours of a chequered board. Each half judges the other's transform; where they part says how sure it is.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .resampling import resize, stretch

KINDS = ("none", "shift", "shift and scale", "affine", "homography")  # the simplest first
LEVELS = (128, 256, 512)  # pixels of the long side, coarse to fine
TILE = 32  # pixels of the finest level: a field of the board
STEPS = (50, 1e-5)  # at most so many a level, or until the correlation grows by less
INSIDE = 0.1  # mask values above it count as inside
ENOUGH = 0.03  # of the picture must be outside the mask
FLAT = 0.01  # standard deviation of grey, in [0, 1], under which nothing can be seen to move
ALIKE = 0.5  # of the variance outside must be explained, or it is another picture
GAIN = 0.03  # a richer transform must leave this share less unexplained
UNSURE, UNSURE_SHARE = 0.5, 0.2  # error allowed: pixels (long side 1024), or a share of what is undone


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
    try:
        import cv2  # an optional package: its wheels overwrite one another, so that users choose which they have
    except ImportError:
        return Alignment("none", plain, 0.0, "not aligned: OpenCV is missing (pip install opencv-python-headless)")
    size = _sized(picture.shape, LEVELS[-1])
    planes = [_resized(_grey(picture), size), _resized(_grey(edit), size), _resized(mask, size)]
    views = [_View(cv2, *(_resized(plane, _sized(size, side)) for plane in planes)) for side in LEVELS]
    finest = views[-1]
    if (reason := finest.unfit()) is not None:
        return Alignment("none", plain, 0.0, f"not aligned: {reason}")
    found = _estimate(views)
    if isinstance(found, str):
        return Alignment("none", plain, 0.0, f"not aligned: {found}")
    kind, moved, error = found
    matrix = stretch(size, edit.shape[:2]) @ torch.from_numpy(moved) @ stretch(picture.shape[:2], size)
    return Alignment(kind, matrix, error, _summary(kind, moved, error, size))


def _estimate(views: list["_View"]) -> tuple[str, np.ndarray, float] | str:
    """(kind, transform at the finest level, error), or why there is none."""
    finest = views[-1]
    start = _rescaled(_coarse(views[:-1]), views[-2].size, finest.size)
    halves = [finest.outside & board for board in finest.boards()]
    fits = [_ladder(finest, start, half) for half in halves]
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
        if error > max(UNSURE, UNSURE_SHARE * moved):
            continue
        whole = _ladder(finest, matrix, finest.outside, kind).get(kind)
        if whole is not None and finest.unexplained(whole, finest.outside) < left["none"]:
            return kind, whole, error
    return "it would not help, or not surely"


def _coarse(views: list["_View"]) -> np.ndarray:
    """The affine transform at the last of `views`, climbed from the better of no shift and the phases' shift."""
    first = views[0]
    starts = [np.eye(3), first.phase_shift()]
    matrix = min(starts, key=lambda start: first.unexplained(start, first.outside))
    matrix = _first(first.climb(matrix, "shift", first.outside), matrix)
    for i, view in enumerate(views):
        matrix = _rescaled(matrix, views[max(0, i - 1)].size, view.size)
        matrix = _first(view.climb(matrix, "affine", view.outside), matrix)
    return matrix


def _first(found: np.ndarray | None, otherwise: np.ndarray) -> np.ndarray:
    return otherwise if found is None else found


def _ladder(view: "_View", start: np.ndarray, where: np.ndarray, last: str = KINDS[-1]) -> dict[str, np.ndarray]:
    """The best transform of each kind, from pixels `where`; kinds that cannot be estimated are absent."""
    fits = {"none": np.eye(3)}
    affine = view.climb(start, "affine", where)
    if affine is None:
        return fits
    fits |= {kind: view.simplify(affine, kind, where) for kind in ("shift", "shift and scale")} | {"affine": affine}
    if last == "homography" and (homography := view.climb(affine, "homography", where)) is not None:
        fits["homography"] = homography
    return fits


class _View:
    """Picture, edit and what is outside the mask at one size, grey; transforms go from picture to edit."""

    def __init__(self, cv2: Any, picture: Tensor, edit: Tensor, mask: Tensor) -> None:
        """picture, edit, mask: [H, W], all of one size."""
        self.cv2, self.size = cv2, tuple(picture.shape)
        self.picture, self.edit = (cv2.GaussianBlur(each.numpy(), (5, 5), 0) for each in (picture, edit))
        inside = mask.numpy() > INSIDE
        self.outside = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
        self.gradient = np.stack([cv2.Scharr(self.picture, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))], -1) / 32

    def unfit(self) -> str | None:
        """Why nothing can be estimated here, or None."""
        if self.outside.mean() < ENOUGH:
            return "the mask covers nearly everything"
        if min(self.picture[self.outside].std(), self.edit[self.outside].std()) < FLAT:
            return "flat picture outside the mask"
        return None

    def boards(self) -> tuple[np.ndarray, np.ndarray]:
        """The two colours of a chequered board."""
        y, x = np.indices(self.size) // TILE
        white = (x + y) % 2 == 0
        return white, ~white

    def phase_shift(self) -> np.ndarray:
        """The shift by phase correlation of the whole pictures: a mask's outline would correlate with itself."""
        window = self.cv2.createHanningWindow(self.size[::-1], self.cv2.CV_32F)
        (x, y), _ = self.cv2.phaseCorrelate(self.picture, self.edit, window)
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    def climb(self, start: np.ndarray, kind: str, where: np.ndarray) -> np.ndarray | None:
        """The transform of a kind, from `start`, with the highest correlation on pixels `where`; None if it fails."""
        cv2 = self.cv2
        motion = {"shift": cv2.MOTION_TRANSLATION, "affine": cv2.MOTION_AFFINE, "homography": cv2.MOTION_HOMOGRAPHY}
        rows = 3 if kind == "homography" else 2
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, *STEPS)
        back = np.linalg.inv(start)[:rows].astype(np.float32)  # from the edit, for the mask lies on the picture
        try:
            _, back = cv2.findTransformECC(
                self.edit, self.picture, back, motion[kind], criteria, where.astype(np.uint8), 1
            )
        except cv2.error:  # singular or not converging: flat, or too far off
            return None
        whole = np.eye(3)
        whole[:rows] = back
        return np.linalg.inv(whole)

    def simplify(self, affine: np.ndarray, kind: str, where: np.ndarray) -> np.ndarray:
        """The shift, or shift and scale, nearest to an affine transform as far as pixels `where` can tell.

        Least squares along the picture's gradients: what no pixel can tell apart does not count.
        """
        at = np.argwhere(where)
        gradient = self.gradient[where]
        points = np.column_stack([at[:, ::-1], np.ones(len(at))])
        moved = (points @ affine.T)[:, :2]
        columns, wanted = gradient, moved - points[:, :2]
        if kind == "shift and scale":
            columns, wanted = np.column_stack([gradient, (gradient * points[:, :2]).sum(1)]), moved
        normal, right = columns.T @ columns, columns.T @ (gradient * wanted).sum(1)
        x, y, *scale = np.linalg.lstsq(normal, right, rcond=None)[0]
        scale = scale[0] if scale else 1.0
        return np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])

    def unexplained(self, matrix: np.ndarray, where: np.ndarray) -> float:
        """Share of the picture's variance at pixels `where` that the edit, laid on it, leaves; in [0, 1]."""
        flags = self.cv2.INTER_CUBIC | self.cv2.WARP_INVERSE_MAP
        laid = self.cv2.warpPerspective(self.edit, matrix, self.size[::-1], flags=flags, borderValue=np.nan)
        seen = where & np.isfinite(laid)
        if seen.sum() < 2:
            return 1.0
        correlation = np.corrcoef(self.picture[seen], laid[seen])[0, 1]
        return 1 - max(float(np.nan_to_num(correlation)), 0.0) ** 2


def _grey(picture: Tensor) -> Tensor:
    """[H, W]: brightness of [H, W, C], alpha left out."""
    return picture[..., 0] if picture.shape[-1] < 3 else picture[..., :3].mean(-1)


def _resized(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """Float32 [*size] on the CPU, of [H, W]."""
    return resize(plane[None, ..., None], size, "bilinear")[0, ..., 0].nan_to_num().cpu()


def _sized(size: tuple[int, ...], side: int) -> tuple[int, int]:
    """(height, width) in the shape of `size`, the long side `side` pixels."""
    scale = side / max(size[:2])
    return tuple(max(8, round(length * scale)) for length in size[:2])


def _rescaled(matrix: np.ndarray, size: tuple[int, int], other: tuple[int, int]) -> np.ndarray:
    """A transform within pictures of `size`, for the same pictures at the `other` size."""
    up = stretch(size, other).numpy()
    return up @ matrix @ np.linalg.inv(up)


def _corner_distance(a: np.ndarray, b: np.ndarray, size: tuple[int, int]) -> float:
    """How far two transforms part in the corners, at most, in pixels of a long side of 1024."""
    right, bottom = size[1] - 1, size[0] - 1
    corners = np.array([[0, 0, 1], [right, 0, 1], [0, bottom, 1], [right, bottom, 1]])
    one, two = ((corners @ m.T)[:, :2] / (corners @ m.T)[:, 2:] for m in (a, b))
    return float(np.linalg.norm(one - two, axis=1).max() * 1024 / max(size))


def _summary(kind: str, moved: np.ndarray, error: float, size: tuple[int, int]) -> str:
    """What was undone, in per cent of the picture, for it is read beside pictures of any size."""
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2, 1])
    x, y = (moved @ centre)[:2] / (moved @ centre)[2] - centre[:2]
    scale = np.sqrt(abs(np.linalg.det(moved[:2, :2])))
    unit = 1024 / max(size)
    return (
        f"aligned ({kind}): the edit was off by {x * unit:+.1f}, {y * unit:+.1f} px of 1024, scaled by {scale:.4f}; "
        f"sure to {error:.2f} px"
    )
