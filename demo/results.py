"""What the demo's pictures show, as figures and as one sheet."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .scenes import Scene

TILE = 256  # pixels
MARGIN = 12
LABELS = {
    "source": "source",
    "plain": "plain edit",
    "segments": "segments",
    "attention": "attention of the words",
    "roi": "region found",
    "lime": "LIME edit",
}


def measure(
    pictures: dict[str, Image.Image], seconds: dict[str, float], scene: Scene | None = None
) -> dict[str, dict[str, float]]:
    """Figures of the plain and the LIME edit; where the true region is not known, only what can be.

    outside_change: mean absolute change outside the true region, in [0, 1]. inside_distance: mean absolute distance
    to the wanted picture inside it. roi_iou: found against true region. Without a scene: change over the whole
    picture instead.
    """
    size = (scene.source.shape[1], scene.source.shape[0]) if scene else pictures["source"].size
    source = _array(pictures["source"], size)
    figures: dict[str, dict[str, float]] = {}
    for way in ("plain", "lime"):
        result = _array(pictures[way], size)
        change = np.abs(result - source).mean(-1)
        if scene is None:
            figures[way] = {"change": float(change.mean())}
        else:
            region = scene.region.numpy()
            wanted = np.abs(result - scene.wanted.numpy()).mean(-1)
            figures[way] = {
                "outside_change": float(change[~region].mean()),
                "inside_distance": float(wanted[region].mean()),
            }
        figures[way]["seconds"] = round(seconds[way], 3)
    if scene is not None:
        region = scene.region.numpy()
        found = np.asarray(pictures["roi_mask"].convert("L").resize(size, Image.Resampling.NEAREST)) > 127
        figures["lime"]["roi_iou"] = float((found & region).sum() / max(1, (found | region).sum()))
    return figures


def sheet(pictures: dict[str, Image.Image], instruction: str, scene: Scene | None = None) -> Image.Image:
    """All pictures side by side with their names, the instruction above."""
    tiles = {LABELS[name]: picture for name, picture in pictures.items() if name in LABELS}
    if scene is not None:
        tiles["wanted"] = Image.fromarray((scene.wanted.numpy() * 255).round().astype(np.uint8))
    head, foot = 48, 28
    page = Image.new("RGB", (len(tiles) * (TILE + MARGIN) + MARGIN, head + TILE + foot), "white")
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 12), f"“{instruction}”", fill="black", font=ImageFont.load_default(22))
    for i, (label, picture) in enumerate(tiles.items()):
        left = MARGIN + i * (TILE + MARGIN)
        picture = picture.resize(_fit(picture.size), Image.Resampling.NEAREST if picture.width < TILE else None)
        page.paste(picture, (left + (TILE - picture.width) // 2, head + (TILE - picture.height) // 2))
        draw.text((left, head + TILE + 4), label, fill="black", font=ImageFont.load_default(16))
    return page


def _fit(size: tuple[int, int]) -> tuple[int, int]:
    scale = TILE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _array(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """float [H, W, 3] in [0, 1]. The workflow shows small pictures whole times enlarged, so nearest undoes that."""
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST), dtype=np.float32) / 255
