"""Previews: segments, heat and region drawn on the picture. All pictures are IMAGEs, [B, H, W, 3] in [0, 1]."""

import colorsys

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from ..lime_ops import resize_nearest
from ..lime_ops.resampling import resize

EMPTY = "no region found:\nthe picture will stay as it is"
COLOUR_SHARE = 0.6  # of a preview's colour; the rest is the picture, so that outlines stay visible
SHORTEST_PREVIEW = 256  # pixels; smaller pictures are enlarged, or their previews could not be read
LONGEST_PREVIEW = 1024  # pixels; larger ones are shrunk
HEAT = ((0.0, 0.0, 0.1), (0.35, 0.05, 0.45), (0.75, 0.2, 0.35), (1.0, 0.6, 0.1), (1.0, 1.0, 0.7))  # cold to hot


def draw_segments(labels: Tensor, picture: Tensor) -> Tensor:
    """Each segment of labels [B, h, w] in a colour of its own."""
    picture = at_preview_size(picture)
    shown = resize_nearest(labels, (picture.shape[1], picture.shape[2])).long()
    return _blend(_palette(int(labels.max()) + 1)[shown.cpu()], picture)


def draw_heatmap(heat: Tensor, picture: Tensor) -> Tensor:
    """heat [B, h, w], each image's own range from cold to hot."""
    picture = at_preview_size(picture)
    low, high = heat.amin((1, 2), keepdim=True), heat.amax((1, 2), keepdim=True)
    level = (heat - low) / (high - low).clamp_min(torch.finfo(heat.dtype).tiny)
    level = F.interpolate(level[:, None].cpu(), picture.shape[1:3], mode="bilinear")[:, 0] * (len(HEAT) - 1)
    colours = torch.tensor(HEAT)
    below = level.floor().long().clamp(0, len(HEAT) - 2)
    share = (level - below)[..., None]
    return _blend(torch.lerp(colours[below], colours[below + 1], share), picture)


def draw_region(mask: Tensor, picture: Tensor) -> Tensor:
    """The region of mask [B, H, W] as it is; the rest grey and dark."""
    picture = at_preview_size(picture)
    inside = resize_nearest(mask, (picture.shape[1], picture.shape[2]))[..., None].to(picture)
    dimmed = picture.mean(-1, keepdim=True) * (1 - COLOUR_SHARE)
    drawn = picture * inside + dimmed * (1 - inside)
    for i, region in enumerate(mask):
        if not region.any():
            drawn[i] = _write(drawn[i], EMPTY)
    return drawn


def _write(picture: Tensor, text: str) -> Tensor:
    """The picture [H, W, 3] with a line of text in its middle."""
    image = Image.fromarray((picture.cpu().clamp(0, 1).numpy() * 255).astype(np.uint8))
    middle = (image.width / 2, image.height / 2)
    font = ImageFont.load_default(image.width // 18)
    ImageDraw.Draw(image).text(middle, text, (255, 220, 120), font, anchor="mm", align="center")
    return torch.from_numpy(np.array(image)).to(picture) / 255


def at_preview_size(picture: Tensor) -> Tensor:
    """Whole times larger, so that the shorter side has SHORTEST_PREVIEW pixels, or no larger than LONGEST_PREVIEW."""
    height, width = picture.shape[1:3]
    if max(height, width) > LONGEST_PREVIEW:
        scale = LONGEST_PREVIEW / max(height, width)
        return resize(picture, (round(height * scale), round(width * scale)), "bilinear")
    times = -(-SHORTEST_PREVIEW // min(height, width))
    return picture.repeat_interleave(times, 1).repeat_interleave(times, 2)


def _blend(colour: Tensor, picture: Tensor) -> Tensor:
    return torch.lerp(picture, colour.to(picture), COLOUR_SHARE)


def _palette(count: int) -> Tensor:
    """[count, 3]: hues spread evenly, neighbours in number far apart."""
    golden = 0.618034
    return torch.tensor([colorsys.hsv_to_rgb(i * golden % 1, 0.75 if i % 2 else 0.95, 1.0) for i in range(count)])
