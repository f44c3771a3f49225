"""Plain loops that several tests compare with."""

import numpy as np


def bilinear(plane, grid):
    """Bilinear resize with align_corners: the first and last samples stay at the ends. plane [h, w]."""
    h, w = plane.shape
    out = np.zeros(grid)
    for i in range(grid[0]):
        y = i * (h - 1) / (grid[0] - 1) if grid[0] > 1 else 0.0
        top = min(int(y), h - 1)
        bottom, fy = min(top + 1, h - 1), y - top
        for j in range(grid[1]):
            x = j * (w - 1) / (grid[1] - 1) if grid[1] > 1 else 0.0
            left = min(int(x), w - 1)
            right, fx = min(left + 1, w - 1), x - left
            upper = plane[top, left] * (1 - fx) + plane[top, right] * fx
            lower = plane[bottom, left] * (1 - fx) + plane[bottom, right] * fx
            out[i, j] = upper * (1 - fy) + lower * fy
    return out


def fused(maps, grid):
    """All channels of all layers resized and joined, each pixel's vector scaled to length 1: numpy [B, H, W, D]."""
    images = []
    for image in range(maps[0].shape[0]):
        planes = [bilinear(m[image, ..., c].numpy(), grid) for m in maps for c in range(m.shape[-1])]
        pixels = np.stack(planes, -1)
        length = np.linalg.norm(pixels, axis=-1, keepdims=True)
        images.append(np.divide(pixels, length, out=np.zeros_like(pixels), where=length > 0))
    return np.stack(images)
