"""Cuts the photographs of the photographic scenes out of what scikit-image, scikit-learn and matplotlib come with.

`python -m demo.atlas` writes demo/photographs.png: a square of each photograph, side by side. Sources and licences:
demo/photographs.md.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from .photographs import ATLAS, NAMES, SIDE


def _photographs() -> dict[str, Callable[[], np.ndarray]]:
    """uint8 [H, W, 3], or [H, W] where it has no colours."""
    import matplotlib
    import skimage.data
    from sklearn.datasets import load_sample_image

    return {
        "astronaut": skimage.data.astronaut,
        "chelsea": skimage.data.chelsea,
        "rocket": skimage.data.rocket,
        "brick": skimage.data.brick,
        "coffee": skimage.data.coffee,
        "china": lambda: load_sample_image("china.jpg"),
        "flower": lambda: load_sample_image("flower.jpg"),
        "grace_hopper": lambda: np.asarray(Image.open(f"{matplotlib.get_data_path()}/sample_data/grace_hopper.jpg")),
    }


def main() -> None:
    photographs, atlas = _photographs(), Image.new("RGB", (SIDE * len(NAMES), SIDE))
    for i, name in enumerate(NAMES):
        photograph = Image.fromarray(photographs[name]()).convert("RGB")
        side = min(photograph.size)
        left, top = (photograph.width - side) // 2, (photograph.height - side) // 2
        square = photograph.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
        atlas.paste(square, (i * SIDE, 0))
    atlas.save(ATLAS, optimize=True)
    print(f"{ATLAS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
