"""What else puts an edit back: each returns the composite and the transform that it found, if it looked for one."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lime_ops.alignment import align
from lime_ops.colour import match_colours
from lime_ops.compositing import paste
from lime_ops.resampling import resize, stretch

from .paste_cases import Case

Result = tuple[Tensor, Tensor]  # composite [1, H, W, 3]; float64 [3, 3], the photograph's pixels to the edit's
KORNIA_SIDE = 320  # pixels of the long side: more takes minutes a case
PHASE_SIDE = 512
RATIO = 0.75  # Lowe's, of the best match's distance to the second best's


def host(case: Case) -> Result:
    """ComfyUI's ImageCompositeMasked with resize_source: stretched bilinearly, blended by the mask as it is."""
    size = case.photograph.shape[1:3]
    edit = F.interpolate(case.edit.movedim(-1, 1), size, mode="bilinear").movedim(1, -1)
    mask = case.mask[..., None]
    return mask * edit + (1 - mask) * case.photograph, _plain(case)


def feathered(case: Case) -> Result:
    """Pasted with our feather and nothing else: what aligning and recolouring add to."""
    return paste(case.photograph, case.edit, case.mask), _plain(case)


def kornia_similarity(case: Case) -> Result:
    """kornia's ImageRegistrator, similarity, which takes no mask; then our paste."""
    from kornia.geometry.transform import ImageRegistrator

    scale = KORNIA_SIDE / max(case.photograph.shape[1:3])
    size = tuple(round(length * scale) for length in case.photograph.shape[1:3])
    photograph, edit = (_grey(picture, size)[None, None] for picture in (case.photograph, case.edit))
    registrator = ImageRegistrator("similarity", num_iterations=100, lr=3e-4, pyramid_levels=4)
    with torch.enable_grad():
        found = registrator.register(photograph, edit)[0].detach().double()
    # warping by it gives the edit: normalized coordinates of the edit to those of the photograph
    to_unit = torch.tensor([[2 / (size[1] - 1), 0, -1], [0, 2 / (size[0] - 1), -1], [0, 0, 1]]).double()
    moved = torch.linalg.inv(torch.linalg.inv(to_unit) @ found @ to_unit)
    return _laid(case, moved, size)


def skimage_phase(case: Case) -> Result:
    """scikit-image's masked phase cross-correlation, a shift by whole pixels; then our paste."""
    from skimage.registration import phase_cross_correlation

    scale = PHASE_SIDE / max(case.photograph.shape[1:3])
    size = tuple(round(length * scale) for length in case.photograph.shape[1:3])
    photograph, edit = (_grey(picture, size).numpy() for picture in (case.photograph, case.edit))
    outside = resize(case.mask[..., None], size, "bilinear")[0, ..., 0].numpy() == 0
    back, *_ = phase_cross_correlation(photograph, edit, reference_mask=outside, moving_mask=outside)
    moved = torch.tensor([[1, 0, -back[1]], [0, 1, -back[0]], [0, 0, 1]]).double()
    return _laid(case, moved, size)


def features(case: Case) -> Result:
    """A homography from SIFT features by RANSAC and the channels' mean and deviation matched; then our paste.

    As comfyui-klein-edit-composite describes its own way, without its optical flow; features and colours from outside
    the mask only, which favours it.
    """
    import cv2

    size = tuple(case.edit.shape[1:3])
    photograph, edit = (_bytes(resize(picture, size)[0]) for picture in (case.photograph, case.edit))
    outside = (resize(case.mask[..., None], size, "bilinear")[0, ..., 0].numpy() == 0).astype(np.uint8)
    sift, matcher = cv2.SIFT.create(), cv2.BFMatcher()
    (own, own_words), (other, other_words) = (
        sift.detectAndCompute(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), outside) for picture in (photograph, edit)
    )
    moved = None
    if own_words is not None and other_words is not None and len(own) > 8 and len(other) > 8:
        pairs = matcher.knnMatch(own_words, other_words, k=2)
        good = [one for one, two in pairs if one.distance < RATIO * two.distance]
        if len(good) > 8:
            here = np.array([own[match.queryIdx].pt for match in good], np.float32)
            there = np.array([other[match.trainIdx].pt for match in good], np.float32)
            moved, _ = cv2.findHomography(here, there, cv2.RANSAC, 3.0)
    moved = torch.eye(3).double() if moved is None else torch.from_numpy(moved)
    return _laid(case, moved, size, _mean_and_deviation(case.photograph, case.edit, case.mask))


def poisson(case: Case) -> Result:
    """Our alignment and colours, blended in the gradient domain (OpenCV's seamlessClone) instead of by a feather."""
    import cv2

    one = case.photograph[0], case.edit[0], case.mask[0]
    matrix = align(*one).matrix
    edit = match_colours(*one, matrix).apply(case.edit)
    laid = paste(case.photograph, edit, torch.ones_like(case.mask), matrix[None], 0)
    mask = cv2.dilate(_bytes(case.mask[0]), np.ones((9, 9), np.uint8))
    mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = 0, 0, 0, 0
    inside = torch.from_numpy(mask > 0)[None, ..., None]
    x, y, width, height = cv2.boundingRect(mask)
    cloned = cv2.seamlessClone(
        _bytes(laid[0]), _bytes(case.photograph[0]), mask, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE
    )
    return torch.where(inside, torch.from_numpy(cloned)[None].float() / 255, case.photograph), matrix


METHODS: dict[str, Callable[[Case], Result]] = {
    "host": host,
    "feathered": feathered,
    "kornia": kornia_similarity,
    "scikit-image": skimage_phase,
    "features": features,
    "poisson": poisson,
}


def _plain(case: Case) -> Tensor:
    return stretch(case.photograph.shape[1:3], case.edit.shape[1:3])


def _laid(case: Case, moved: Tensor, size: Sequence[int], edit: Tensor | None = None) -> Result:
    """Pasted by a transform between photograph and edit that was found at `size`."""
    matrix = stretch(size, case.edit.shape[1:3]) @ moved @ stretch(case.photograph.shape[1:3], size)
    return paste(case.photograph, case.edit if edit is None else edit, case.mask, matrix[None]), matrix


def _mean_and_deviation(photograph: Tensor, edit: Tensor, mask: Tensor) -> Tensor:
    def outside(picture: Tensor) -> Tensor:
        return picture[resize(mask[..., None], tuple(picture.shape[1:3]), "bilinear")[..., 0] == 0]

    (mean, deviation), (own_mean, own_deviation) = (
        (outside(picture).mean(0), outside(picture).std(0)) for picture in (photograph, edit)
    )
    return ((edit - own_mean) * deviation / own_deviation + mean).clamp(0, 1)


def _grey(picture: Tensor, size: Sequence[int]) -> Tensor:
    return resize(picture, size, "bilinear")[0].mean(-1)


def _bytes(picture: Tensor) -> np.ndarray:
    return (picture.clamp(0, 1) * 255).round().byte().numpy()
