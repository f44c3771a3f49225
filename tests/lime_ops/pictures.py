"""Pictures with enough in them to be aligned, drawn, so that no photograph is needed."""

import torch
from torch.nn import functional as F


def textured(height=240, width=320, seed=0):
    """Clouds of several sizes, [H, W, 3] in [0.1, 0.9]."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, height, width)
    for side in (4, 8, 16, 32, 64):
        clouds = torch.randn(1, 3, side, side * width // height, generator=generator)
        picture += F.interpolate(clouds, (height, width), mode="bicubic") / side**0.5
    low, high = picture.amin((2, 3), keepdim=True), picture.amax((2, 3), keepdim=True)
    return (0.1 + 0.8 * (picture - low) / (high - low))[0].movedim(0, -1)


def disc_mask(height=240, width=320, centre=(100, 140), radius=40):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2).float()


def moved(picture, matrix):
    """The picture after each pixel (x, y, 1) went to matrix @ (x, y, 1), edges repeated: [H, W, C]."""
    height, width = picture.shape[:2]
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    back = torch.stack([x, y, torch.ones_like(x)], -1) @ torch.linalg.inv(matrix).T
    place = back[..., :2] / back[..., 2:] + 0.5
    grid = 2 * place / torch.tensor([width, height]) - 1
    planes = picture.movedim(-1, 0)[None].double()
    return (
        F.grid_sample(planes, grid[None], "bicubic", "border", align_corners=False)[0]
        .movedim(0, -1)
        .float()
        .clamp(0, 1)
    )


def matrix(*rows):
    return torch.tensor(rows, dtype=torch.float64)
