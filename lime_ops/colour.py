"""The tint of an edit, fitted where it should show the picture's own colours, and taken back.

An autoencoder or an editing model changes gain, offset and gamma of the whole picture. Outside the mask both sides are
known: a channel's tone curve is fitted there by robust regression (scikit-learn's Huber loss), picture -> edit, since
the noise is the edit's, and inverted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .resampling import Box, fitted, resample, resize, stretch

WORK = 256  # pixels of the long side: averaged over many pixels, noise and outlines do not count
TILE = 16  # of those: a field of the chequered board whose colours judge each other's fit
ENOUGH = 0.3  # of the picture must be outside the mask: a new background has a tone of its own
DEGREES = (0, 1, 2, 3)  # nothing, an offset, a gain too, a bend (gamma) too: the simplest first
GAIN = 0.1  # a richer curve must leave this share less of the difference
CLIPPED = 2 / 255  # this near to black and white values are cut off, and say nothing
LEVELS = 1024  # entries of a curve
SAME = 0.5 / 255  # a smaller difference is none
FEW = 0.005  # of the pixels: fewer do not tell what was cut off at black or white
RAMP = 0.03  # from black or white, over which cut-off values are taken for what they were: noise spreads them so far
INSIDE = 0.1  # mask values above it count as inside
SAMPLES, FEWEST = 2000, 200  # pixels of a fit
FLAT = 0.02  # standard deviation of a channel, in [0, 1], under which it shows no gain
SLOPE = 0.3  # a curve flatter than this, or steeper than its inverse, is not believed
_EVEN = np.linspace(0, 1, LEVELS, dtype=np.float32)  # the curve that changes nothing


class ToneCurves(NamedTuple):
    """What each value of each channel of an edit becomes: float32 [C, LEVELS] over [0, 1]; and the fit, for people."""

    curves: Tensor | None
    summary: str

    def apply(self, edit: Tensor) -> Tensor:
        """The edit [..., C] recoloured, float32 in [0, 1]; further channels stay. Itself if there is nothing to do."""
        if self.curves is None:
            return edit
        channels = []
        for channel, curve in zip(edit.float().clamp(0, 1).unbind(-1), self.curves.to(edit.device), strict=False):
            level = channel * (LEVELS - 1)
            below = level.long().clamp(max=LEVELS - 2)
            channels.append(torch.lerp(curve[below], curve[below + 1], level - below))
        return torch.cat([torch.stack(channels, -1), edit[..., len(channels) :].float()], -1)


def match_colours(picture: Tensor, edit: Tensor, mask: Tensor, matrix: Tensor | None = None) -> ToneCurves:
    """The curves that give an edit the picture's colours outside the mask, or none and why.

    picture: [H, W, C] in [0, 1]; edit: [h, w, C]; mask: [H', W'], above 0 where the edit was meant to change the
    picture. matrix: float64 [3, 3], the picture's pixels to the edit's (see `align`); stretched by default.
    """
    scale = WORK / max(picture.shape[:2])
    size = tuple(max(8, round(length * scale)) for length in picture.shape[:2])
    outside = resize(mask[None, ..., None], size, "bilinear")[0, ..., 0].cpu().numpy() < INSIDE
    if outside.mean() < ENOUGH:
        return ToneCurves(None, "colours kept: most of the picture is inside the mask")
    matrix = stretch(picture.shape[:2], edit.shape[:2]) if matrix is None else matrix
    onto = matrix @ stretch(size, picture.shape[:2])
    seen = outside & _covered(onto, size, tuple(edit.shape[:2]))
    want = resize(picture[None, ..., :3], size, "bilinear")[0].cpu().numpy()
    have = resample(*fitted(edit[None, ..., :3].nan_to_num(), onto), Box(0, 0, *size))[0].cpu().numpy()
    y, x = np.indices(size) // TILE
    halves = [seen & ((x + y) % 2 == colour) for colour in (0, 1)]
    if want.shape != have.shape or not all(half.any() for half in halves):
        return ToneCurves(None, "colours kept: nothing to compare")
    channels = [_simplest(want[..., c], have[..., c], halves) for c in range(want.shape[-1])]
    if not any(degree for degree, _ in channels):
        return ToneCurves(None, "colours kept: no tint found")
    curves = np.stack([curve for _, curve in channels])
    before, after = (
        255 * _difference(each, want[seen], have[seen]) for each in (np.tile(_EVEN, (len(curves), 1)), curves)
    )
    return ToneCurves(torch.from_numpy(curves), f"colours matched: off by {before:.1f}, now {after:.1f} of 255")


def _simplest(want: np.ndarray, have: np.ndarray, halves: list[np.ndarray]) -> tuple[int, np.ndarray]:
    """(degree, curve) of one channel [H, W]: the simplest curve that holds on pixels it was not fitted to."""
    left = {}
    for degree in DEGREES:
        fits = [fit for half in halves if (fit := _curve(want[half], have[half], degree)) is not None]
        if len(fits) == len(halves):
            pairs = zip(fits, halves[::-1], strict=True)
            left[degree] = sum(_difference(fit, want[half], have[half]) for fit, half in pairs) / 2
    best = min(left.values())
    degree = next(degree for degree in left if left[degree] <= max(best / (1 - GAIN), SAME))
    seen = halves[0] | halves[1]
    curve = _curve(want[seen], have[seen], degree)
    if curve is None or _difference(curve, want[seen], have[seen]) > left[0]:
        return 0, _EVEN
    return degree, curve


def _curve(want: np.ndarray, have: np.ndarray, degree: int) -> np.ndarray | None:
    """Float32 [LEVELS], have -> want: a polynomial want -> have, straight beyond what was seen, inverted.

    want, have: [N], one channel. None where no believable fit exists.
    """
    if degree == 0:
        return _EVEN
    coefficients = _polynomial(want, have, degree)
    if coefficients is None:
        return None
    polynomial = np.polynomial.Polynomial(coefficients)
    low, high = np.quantile(want, (0.01, 0.99))
    ends = polynomial.deriv()(np.array([low, high]))
    if ends.min() < SLOPE or ends.max() > 1 / SLOPE:
        return None
    x = np.linspace(-0.5, 1.5, 2 * LEVELS)
    y = polynomial(x.clip(low, high)) + (x - low).clip(max=0) * ends[0] + (x - high).clip(min=0) * ends[1]
    curve = np.interp(_EVEN, y, x)
    for end, cut in ((0, want <= np.interp(0, y, x)), (1, want >= np.interp(1, y, x))):
        if cut.mean() > FEW:  # what was cut off there looks, in the middle, like this
            ramp = (1 - np.abs(_EVEN - end) / RAMP).clip(0, 1)
            curve += ramp * (np.median(want[cut]) - curve)
    return curve.clip(0, 1).astype(np.float32)


def _polynomial(want: np.ndarray, have: np.ndarray, degree: int) -> list[float] | None:
    """Coefficients, the constant first: degree 1 is an offset, 2 a gain too, 3 a bend too."""
    from sklearn.linear_model import HuberRegressor

    whole = (np.minimum(have, want) > CLIPPED) & (np.maximum(have, want) < 1 - CLIPPED)
    step = max(1, int(whole.sum()) // SAMPLES)
    want, have = want[whole][::step], have[whole][::step]
    if len(want) < FEWEST:
        return None
    if degree == 1:
        return [float(np.median(have - want)), 1.0]
    if want.std() < FLAT:
        return None
    powers = np.stack([want**k for k in range(1, degree)], 1)
    try:
        fit = HuberRegressor(alpha=0, max_iter=300).fit(powers, have)
    except ValueError:  # its line search gives up, once in many thousands of fits
        return None
    return [fit.intercept_, *fit.coef_]


def _difference(curves: np.ndarray, want: np.ndarray, have: np.ndarray) -> float:
    """Mean difference of the recoloured pixels: want, have [N] and one curve, or [N, C] and one a channel."""
    pixels = torch.from_numpy(have.reshape(len(have), -1))
    recoloured = ToneCurves(torch.from_numpy(np.atleast_2d(curves)), "").apply(pixels).numpy()
    return float(np.abs(recoloured - want.reshape(len(want), -1)).mean())


def _covered(onto: Tensor, size: Sequence[int], edit: Sequence[int]) -> np.ndarray:
    """Bool [*size]: the pixels that lie on the edit at all."""
    y, x = np.indices(size)
    x, y, z = (row[0] * x + row[1] * y + row[2] for row in onto.tolist())
    return (x / z >= 0) & (x / z <= edit[1] - 1) & (y / z >= 0) & (y / z <= edit[0] - 1)
