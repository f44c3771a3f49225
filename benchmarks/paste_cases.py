"""Photographs, edits of them, and the drift that editing models bring: cases whose truth is known to the pixel.

The photographs come with packages, nothing is downloaded, none is copied into this repository. Licences, one by one:

| name | ships with | licence |
|---|---|---|
| astronaut | scikit-image | public domain (NASA), "no known copyright restrictions" in its docstring |
| chelsea | scikit-image | CC0, Stefan van der Walt |
| coffee | scikit-image | CC0, Rachel Michetti |
| rocket | scikit-image | public domain (SpaceX's release of its photographs) |
| motorcycle | scikit-image | none stated: Middlebury stereo benchmark 2014; measured on, never shown |
| china | scikit-learn | CC BY 2.0, danielbuechele (flickr) |
| flower | scikit-learn | CC BY 2.0, vultilion (flickr; the packaged note names danielbuechele but links to vultilion) |
| grace_hopper | matplotlib | public domain (US Navy, James S. Davis; matplotlib pull request 1599) |
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle", "china", "flower", "grace_hopper")
LONG_SIDE = 1024  # pixels: drift and errors are stated for an edit of this size
MEGAPIXEL = 10**6


class Drift(NamedTuple):
    """What a model did to the whole picture; pixels are those of an edit whose long side is 1024."""

    shift: tuple[float, float] = (0.0, 0.0)  # (x, y) pixels
    zoom: float = 1.0  # about the centre
    gain: tuple[float, ...] = (1.0, 1.0, 1.0)  # a channel
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)  # a channel, of a range of 1
    gamma: float = 1.0
    blur: float = 0.0  # standard deviation, in the edit's own pixels
    noise: float = 0.0  # standard deviation, of a range of 1


class Case(NamedTuple):
    photograph: Tensor  # [1, H, W, 3] in [0, 1]
    edit: Tensor  # [1, h, w, 3], with drift
    clean: Tensor  # [1, h, w, 3], the same edit without drift
    mask: Tensor  # [1, H, W], 1 where the edit may show
    edited: Tensor  # [H, W] in [0, 1]: the pixels that the edit really changed
    truth: Tensor  # [3, 3] float64: pixel of the photograph -> pixel of the edit
    name: str  # of the photograph
    content: str  # the photograph that the edited object was taken from
    drift: Drift


@lru_cache(len(PHOTOGRAPHS))
def photograph(name: str, megapixels: float | None = None) -> np.ndarray:
    """A photograph as uint8 [H, W, 3], at its own size or enlarged."""
    import cv2

    picture = _load(name)
    if megapixels is None:
        return picture
    scale = math.sqrt(megapixels * MEGAPIXEL / picture[..., 0].size)
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4)


def make_case(seed: int, drifts: tuple[str, ...], background: bool = False, megapixels: float | None = None) -> Case:
    """One case, drawn from `seed`: which photograph, what is edited, and the named drifts."""
    import cv2

    rng = np.random.default_rng(seed)
    name = PHOTOGRAPHS[seed % len(PHOTOGRAPHS)]
    photo = photograph(name, megapixels).astype(np.float32) / 255
    size = photo.shape[:2]
    small = _edit_size(size, rng)
    drift = draw_drift(rng, drifts)

    edited, mask = _region(rng, small, background)
    clean = cv2.resize(photo, small[::-1], interpolation=cv2.INTER_AREA if size[0] > small[0] else cv2.INTER_CUBIC)
    other = PHOTOGRAPHS[rng.integers(len(PHOTOGRAPHS))]
    content = photograph(other).astype(np.float32) / 255
    content = cv2.resize(content[::-1, ::-1], small[::-1], interpolation=cv2.INTER_AREA)
    clean = np.clip(clean + edited[..., None] * (content - clean), 0, 1)

    moved = drift_matrix(drift, small)
    edit = cv2.warpPerspective(clean, moved, small[::-1], flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    edit = _tint(np.clip(edit, 0, 1), drift, rng)

    def enlarge(plane: np.ndarray) -> np.ndarray:
        return cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR)

    return Case(
        torch.from_numpy(photo)[None],
        torch.from_numpy(edit)[None],
        torch.from_numpy(clean)[None],
        torch.from_numpy((enlarge(mask) > 0.5).astype(np.float32))[None],
        torch.from_numpy(enlarge(edited)),
        torch.from_numpy(moved @ stretch(size, small)),
        name,
        other,
        drift,
    )


def stretch(size: tuple[int, int], other: tuple[int, int]) -> np.ndarray:
    """[3, 3]: pixel centres of a picture of `size` to those of the same picture at `other`, edges on edges."""
    y, x = other[0] / size[0], other[1] / size[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def draw_drift(rng: np.random.Generator, kinds: tuple[str, ...]) -> Drift:
    """Everything is drawn, so that a case keeps its other numbers when a kind is added; only `kinds` are kept."""
    drawn: dict[str, dict[str, Any]] = {
        "shift": {"shift": tuple(rng.uniform(-24, 24, 2))},
        "zoom": {"zoom": rng.uniform(0.96, 1.04)},
        "gain": {"gain": tuple(rng.uniform(0.9, 1.1, 3)), "offset": tuple(rng.uniform(-0.1, 0.1, 3))},
        "gamma": {"gamma": rng.uniform(0.9, 1.1)},
        "blur": {"blur": rng.uniform(0.5, 1.2), "noise": rng.uniform(0.01, 0.02)},
    }
    return Drift(**{key: value for kind in kinds for key, value in drawn[kind].items()})


def drift_matrix(drift: Drift, size: tuple[int, int]) -> np.ndarray:
    """[3, 3]: where a pixel of the drift-free edit of `size` went."""
    unit = max(size) / LONG_SIDE
    centre = [(size[1] - 1) / 2, (size[0] - 1) / 2]
    x, y = (c - drift.zoom * c + s * unit for c, s in zip(centre, drift.shift, strict=True))
    return np.array([[drift.zoom, 0, x], [0, drift.zoom, y], [0, 0, 1]])


def _tint(edit: np.ndarray, drift: Drift, rng: np.random.Generator) -> np.ndarray:
    import cv2

    edit = edit**drift.gamma * np.array(drift.gain, np.float32) + np.array(drift.offset, np.float32)
    if drift.blur:
        edit = cv2.GaussianBlur(edit, (0, 0), drift.blur)
    if drift.noise:
        edit = edit + rng.normal(0, drift.noise, edit.shape)
    return np.clip(edit, 0, 1).astype(np.float32)


def _edit_size(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """What models sample at: about a megapixel in multiples of 16, or the picture's own size in multiples of 8."""
    if max(size) <= LONG_SIDE and rng.random() < 0.5:
        return size[0] // 8 * 8, size[1] // 8 * 8
    scale = LONG_SIDE / max(size)
    return round(size[0] * scale / 16) * 16, round(size[1] * scale / 16) * 16


def _region(rng: np.random.Generator, size: tuple[int, int], background: bool) -> tuple[np.ndarray, np.ndarray]:
    """(what is edited, with soft edges; the mask, 8 to 24 pixels wider): float [h, w].

    A round object with a wavy outline, 2 to 40 % of the picture; or everything but one, its size reversed.
    """
    import cv2

    unit = max(size) / LONG_SIDE
    share = math.exp(rng.uniform(math.log(0.02), math.log(0.40)))
    radius = math.sqrt(share * size[0] * size[1] / math.pi)
    cy, cx = rng.uniform(0.2, 0.8, 2) * size
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    angle, away = np.arctan2(y - cy, x - cx), np.hypot(y - cy, x - cx)
    waves = sum(rng.uniform(0, 0.12) * np.sin(k * angle + rng.uniform(0, 2 * math.pi)) for k in range(2, 6))
    depth = radius * (1 + waves) - away  # pixels inside the outline, nearly
    depth = -depth if background else depth
    margin = max(1, round(rng.uniform(8, 24) * unit))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1,) * 2)
    edited = np.clip(depth + 0.5, 0, 1).astype(np.float32)
    return edited, cv2.dilate((depth > 0).astype(np.float32), kernel)


def _load(name: str) -> np.ndarray:
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return load_sample_image(f"{name}.jpg")
    if name == "grace_hopper":
        from matplotlib.cbook import get_sample_data
        from PIL import Image

        return np.asarray(Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB"))
    import skimage

    if name == "motorcycle":
        from importlib.resources import files

        # stereo_motorcycle() also loads the right picture and the depth map, which this needs not
        return skimage.io.imread(str(files("skimage") / "data" / "motorcycle_left.png"))[..., :3]
    return getattr(skimage.data, name)()
