"""A picture and an edit of it at one size, and the transforms between them: OpenCV's enhanced correlation coefficient.

Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization", PAMI 2008.
Transforms are float64 [3, 3], from (x, y, 1) in the picture's pixels to the edit's.
"""

from types import ModuleType

import numpy as np
from torch import Tensor

TILE = 32  # pixels: a field of the chequered board
STEPS = (50, 1e-5)  # at most so many, or until the correlation grows by less
INSIDE = 0.1  # mask values above it count as inside
ENOUGH = 0.05  # of the picture must be outside the mask
FLAT = 0.01  # standard deviation of grey, in [0, 1], under which nothing can be seen to move


class View:
    """Picture, edit and what is outside the mask at one size, grey; transforms go from picture to edit."""

    def __init__(self, cv2: ModuleType, picture: Tensor, edit: Tensor, mask: Tensor) -> None:
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
            forth = np.linalg.inv(np.vstack([back, [0, 0, 1]])[:3])
        except (cv2.error, np.linalg.LinAlgError):  # singular or not converging: flat, or too far off
            return None
        return forth / forth[2, 2]

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
