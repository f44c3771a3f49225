"""The shapes of the scenes' objects, as coverage of pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor

SIZE = 64  # pixels
SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond")
# Pixel centres from the middle, rows and columns [H, W] each.
GRID = torch.meshgrid(*[torch.arange(SIZE, dtype=torch.float32) + 0.5 - SIZE / 2] * 2, indexing="ij")


@dataclass(frozen=True)
class Object:
    shape: str
    colour: str
    x: float  # pixels, centre
    y: float
    radius: float


def coverage(o: Object) -> Tensor:
    """How much of each pixel the object covers, [H, W] in [0, 1]."""
    y, x = GRID[0] + SIZE / 2 - o.y, GRID[1] + SIZE / 2 - o.x
    r = o.radius
    if o.shape == "circle":
        distance = (x * x + y * y).sqrt() - 0.95 * r
    elif o.shape == "square":
        distance = torch.maximum(x.abs(), y.abs()) - 0.82 * r
    elif o.shape == "diamond":
        distance = (x.abs() + y.abs() - 1.15 * r) * 0.7071
    elif o.shape == "triangle":
        distance = torch.maximum(y - 0.6 * r, (x.abs() * 0.866 - (y + 0.9 * r) * 0.5))
    elif o.shape == "cross":
        arm = torch.maximum(x.abs() - 0.3 * r, y.abs() - r)
        distance = torch.minimum(arm, torch.maximum(y.abs() - 0.3 * r, x.abs() - r))
    else:
        angle = torch.atan2(x, -y)
        wave = torch.remainder(angle * 5 / 6.2832 + 0.5, 1.0) - 0.5
        distance = ((x * x + y * y).sqrt() - r * (1.0 - 1.1 * wave.abs())) * 0.75
    return (0.5 - distance).clamp(0, 1)
