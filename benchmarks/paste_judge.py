"""How near a composite comes to the paste of the same edit without drift."""

import numpy as np
from torch import Tensor

from lime_ops import RECOMMENDED
from lime_ops.resampling import resize

from .paste_cases import LONG_SIDE, Case

BORDER = RECOMMENDED.feather  # pixels of the edit: the node's default
GRAIN = 4.0  # pixels (long side 1024): colours and gradients are compared averaged so far, for blur and noise stay


class Judge:
    """Compares composites of a case with its drift-free paste, at a long side of at most 1024 pixels."""

    def __init__(self, case: Case, reference: Tensor) -> None:
        import cv2

        self.cv2, self.case = cv2, case
        scale = min(1.0, LONG_SIDE / max(case.photograph.shape[1:3]))
        self.size = tuple(round(length * scale) for length in case.photograph.shape[1:3])
        self.unit = max(self.size) / LONG_SIDE
        mask = self._small(case.mask[..., None])[..., 0]
        edited = self._small(case.edited[None, ..., None])[..., 0]
        self.stays = ((mask > 0.99) & (edited < 0.01)).astype(np.float32)
        self.object = (edited > 0.99).astype(np.float32)
        self.reference = self._small(reference)
        blurred = cv2.GaussianBlur(mask, (0, 0), BORDER * self.unit / 2)
        normal = np.stack([cv2.Sobel(blurred, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))], -1)
        self.normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        kernel = np.ones((2 * round(BORDER * self.unit) + 1,) * 2, np.uint8)
        self.band = cv2.dilate(mask, kernel) - cv2.erode(mask, kernel) > 0.5

    def _small(self, picture: Tensor) -> np.ndarray:
        return resize(picture, self.size, "bilinear")[0].numpy()

    def figures(self, composite: Tensor, reference: Tensor | None = None) -> dict[str, float]:
        """What the composite is like beside the drift-free paste, or beside the `reference` for the gradient."""
        small = self._small(composite)
        across = self.reference if reference is None else self._small(reference)
        return {
            "colour": self._colour(small, self.stays, GRAIN),
            "colour_per_pixel": self._colour(small, self.stays, 0),
            "object_colour": self._colour(small, self.object, GRAIN),
            "gradient": self._across(small) / self._across(across),
            "outside": self._outside(composite),
        }

    def _colour(self, picture: np.ndarray, where: np.ndarray, grain: float) -> float:
        """Mean CIEDE2000 from the drift-free paste at pixels `where`, each averaged with those around it."""
        from skimage.color import deltaE_ciede2000, rgb2lab

        if where.sum() < 50:
            return float("nan")
        pair = [rgb2lab(self._averaged(each, where, grain)) for each in (picture, self.reference)]
        return float(deltaE_ciede2000(*pair).mean())

    def _averaged(self, picture: np.ndarray, where: np.ndarray, grain: float) -> np.ndarray:
        """[N, 3]: the pixels `where`, each the mean of those of them within about `grain` pixels."""
        if not grain:
            return picture[where > 0]
        total, share = (
            self.cv2.GaussianBlur(each, (0, 0), grain * self.unit)[where > 0]
            for each in (picture * where[..., None], where)
        )
        return (total / share[:, None]).clip(0, 1)

    def _across(self, picture: np.ndarray) -> float:
        """Mean gradient of brightness across the mask's outline, within the feather's reach."""
        cv2 = self.cv2
        grey = cv2.GaussianBlur(picture.mean(-1), (0, 0), GRAIN * self.unit)
        gradient = np.stack([cv2.Sobel(grey, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))], -1)
        return float(np.abs((gradient * self.normal).sum(-1))[self.band].mean())

    def _outside(self, composite: Tensor) -> int:
        """How many pixels differ from the photograph's beyond the feather."""
        finer = max(1.0, max(self.case.photograph.shape[1:3]) / max(self.case.edit.shape[1:3]))
        reach = int(np.ceil((BORDER + 1) * finer)) + 1
        far = self.cv2.dilate(self.case.mask[0].numpy(), np.ones((2 * reach + 1,) * 2, np.uint8)) == 0
        return int(((composite != self.case.photograph).any(-1)[0].numpy() & far).sum())
