"""Pictures as the bytes of files."""

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError


def readable(path: Path) -> bytes:
    """The bytes of a picture that decodes as a whole. Raises ValueError, or OSError when there is none."""
    content = path.read_bytes()
    try:
        Image.open(io.BytesIO(content)).load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{path} is no picture that can be read ({error})") from None
    return content


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def opened(path: str | Path) -> Image.Image:
    """A picture in RGB. Raises as `readable` does."""
    return Image.open(io.BytesIO(readable(Path(path)))).convert("RGB")
