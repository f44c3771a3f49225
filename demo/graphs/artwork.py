"""The pack's icon and banner: a slice of lime, grey but for the one segment that is edited."""

import math
from pathlib import Path

from PIL import Image, ImageDraw

RIND, FLESH, EDITED, PITH, GREY = "#5c9e31", "#b9c2b4", "#7ed13b", "#f4f7ee", "#20261d"


def icon(side: int = 400) -> Image.Image:
    """Square, drawn four times larger and shrunk."""
    size = side * 4
    picture = Image.new("RGBA", (size, size))
    draw = ImageDraw.Draw(picture)
    for share, colour in ((0.98, RIND), (0.88, PITH)):
        edge = size * (1 - share) / 2
        draw.ellipse((edge, edge, size - edge, size - edge), colour)
    for segment in range(8):
        middle = math.tau * segment / 8
        radius, x, y = size * 0.4, size * (0.5 + 0.025 * math.cos(middle)), size * (0.5 + 0.025 * math.sin(middle))
        box = (x - radius, y - radius, x + radius, y + radius)
        start = math.degrees(middle) - 20
        draw.pieslice(box, start, start + 40, EDITED if segment == 7 else FLESH)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def banner(width: int = 1344, height: int = 576) -> Image.Image:
    """21 : 9, the icon in its middle."""
    picture = Image.new("RGB", (width, height), GREY)
    drawn = icon(height * 3 // 4)
    picture.paste(drawn, ((width - drawn.width) // 2, (height - drawn.height) // 2), drawn)
    return picture


def draw(folder: Path) -> None:
    icon().save(folder / "icon.png")
    banner().save(folder / "banner.png")
