"""Five cases drawn: what went in and what is made of it, whole and at the mask's border."""

from pathlib import Path

import numpy as np
from torch import Tensor

from lime_ops.compositing import paste

from .paste_cases import Case, make_case
from .paste_rivals import METHODS

CREDITS = {
    "astronaut": "NASA, public domain",
    "chelsea": "Stefan van der Walt, CC0",
    "coffee": "Rachel Michetti, CC0",
    "rocket": "SpaceX, public domain",
    "china": "danielbuechele, CC BY 2.0",
    "flower": "vultilion, CC BY 2.0",
    "grace_hopper": "US Navy, public domain",
}  # who is not here is not shown: see paste_cases
SHOWN = ("astronaut", "chelsea", "coffee", "rocket")
WINDOW = 0.25  # of the long side: what the lower row shows


def draw(folder: Path, first_seed: int, worst_seed: int, drifts: tuple[str, ...]) -> list[Path]:
    """Draws the first case of four photographs and, fifth, the one that was aligned worst, where they may be shown."""
    from .paste import ours

    folder.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, tuple[int, Case]] = {}
    for seed in (*range(first_seed, first_seed + 64), worst_seed):
        case = make_case(seed, drifts)
        if case.content in CREDITS and case.name in (SHOWN if seed != worst_seed else CREDITS):
            chosen.setdefault("worst" if seed == worst_seed else case.name, (seed, case))
    written = []
    for name, (seed, case) in chosen.items():
        (composite, _), _, said = ours(case)
        columns = {
            "photograph": case.photograph,
            "edit, with drift": case.edit,
            "host": METHODS["host"](case)[0],
            "features": METHODS["features"](case)[0],
            "this pack": composite,
            "drift-free paste": paste(case.photograph, case.clean, case.mask),
        }
        path = folder / f"paste_{name}.jpg"
        credits = " on ".join(f"{each} ({CREDITS[each]})" for each in dict.fromkeys((case.content, case.name)))
        _sheet(case, columns, f"case {seed}, {credits}\n{said}", path)
        written.append(path)
    return written


def _sheet(case: Case, columns: dict[str, Tensor], title: str, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    height, width = case.photograph.shape[1:3]
    figure, axes = pyplot.subplots(2, len(columns), figsize=(3 * len(columns), 2.2 + 5.4 * height / width), dpi=90)
    top, left, side = _window(case)
    for (name, picture), whole, near in zip(columns.items(), *axes, strict=True):
        whole.imshow(picture[0].clamp(0, 1).numpy())
        whole.set_title(name)
        y, x = picture.shape[1] / height, picture.shape[2] / width
        part = picture[0, round(top * y) : round((top + side) * y), round(left * x) : round((left + side) * x)]
        near.imshow(part.clamp(0, 1).numpy())
        for axis in (whole, near):
            axis.axis("off")
    figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _window(case: Case) -> tuple[int, int, int]:
    """(top, left, side) of a square around the place on the mask's border where a plain paste differs most."""
    import cv2

    height, width = case.photograph.shape[1:3]
    side = round(WINDOW * max(height, width))
    mask = case.mask[0].numpy()
    border = cv2.dilate(mask, np.ones((5, 5))) - cv2.erode(mask, np.ones((5, 5)))
    off = (METHODS["host"](case)[0] - case.photograph)[0].abs().mean(-1).numpy() * mask * border
    y, x = np.unravel_index(cv2.GaussianBlur(off, (0, 0), side / 8).argmax(), off.shape)
    top, left = (min(max(0, int(at) - side // 2), most - side) for at, most in ((y, height), (x, width)))
    return top, left, side
