"""Photographic scenes: the scenes' objects and grounds filled with tinted crops of photographs, lit, with soft shadows.

What is asked for, and where things lie, is drawn as in `scenes.py`. Five photographs train, three evaluate.
"""

import math
import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .scenes import COLOURS, GROUNDS, KINDS, TWO, Scene, make_scene
from .shapes import GRID, SIZE, Object, coverage

ATLAS = Path(__file__).resolve().parent / "photographs.png"
SPLITS = {
    "train": ("astronaut", "chelsea", "rocket", "brick", "china"),
    "held_out": ("coffee", "flower", "grace_hopper"),
}
NAMES = (*SPLITS["train"], *SPLITS["held_out"])  # from left to right in the atlas
SIDE = 256  # pixels of a photograph in the atlas
PHOTO_KINDS = (*KINDS, TWO)
VISIBLE = 0.06  # change of a pixel, in [0, 1], from which a shadow that comes or goes is part of the edit


def make_photo_scene(seed: int, split: str = "train", kind: str | None = None) -> Scene:
    """The photographic scene of a seed. split: "train" or "held_out"; kind: one of PHOTO_KINDS, or None for any."""
    kind = kind or random.Random(f"photo-{split}-{seed}").choice(PHOTO_KINDS)
    scene = make_scene(seed, split, kind, lambda rng: Photographs(rng, split))
    return replace(scene, region=scene.region | ((scene.wanted - scene.source).abs().amax(-1) > VISIBLE))


def held_out_photo_scene(seed: int) -> Scene:
    """A scene of the photographs, pairs and wordings that are kept for evaluation; all kinds of edit in turn."""
    return make_photo_scene(seed, "held_out", PHOTO_KINDS[seed % len(PHOTO_KINDS)])


class Photographs:
    """One light on surfaces that look like photographs, each surface the same whatever its colour."""

    def __init__(self, rng: random.Random, split: str) -> None:
        self.names, self.seed = SPLITS[split], rng.getrandbits(40)
        angle = rng.uniform(0, 2 * math.pi)
        self.light = (math.sin(angle), math.cos(angle))  # towards it: rows, columns
        self.fall = rng.uniform(0.1, 0.4)  # of light across the picture
        self.distance, self.softness = rng.uniform(1.0, 2.5), rng.uniform(0.8, 1.6)  # of shadows, pixels
        self.darkness = rng.uniform(0.25, 0.5)
        generator = torch.Generator().manual_seed(rng.getrandbits(40))
        self.grain = torch.randn(SIZE, SIZE, 1, generator=generator) * rng.uniform(0.0, 0.02)

    def picture(self, ground: str) -> Tensor:
        y, x = GRID
        lit = 1 + self.fall * (y * self.light[0] + x * self.light[1]) / SIZE
        return tinted(self._surface("ground", (64, 160)), GROUNDS[ground], 0.14) * lit[..., None]

    def draw(self, picture: Tensor, objects: list[Object]) -> Tensor:
        if objects:
            picture = picture * (1 - self.darkness * self._shadow(objects))[..., None]
        for o in objects:
            y, x = (GRID[0] + SIZE / 2 - o.y) / o.radius, (GRID[1] + SIZE / 2 - o.x) / o.radius
            lit = 1 + 0.18 * (y * self.light[0] + x * self.light[1]).clamp(-1, 1)
            surface = tinted(self._surface(f"{o.x} {o.y}", (40, 96)), COLOURS[o.colour], 0.12) * lit[..., None]
            picture = torch.lerp(picture, surface, coverage(o)[..., None])
        return picture

    def _shadow(self, objects: list[Object]) -> Tensor:
        """Where objects keep the light off, [H, W] in [0, 1]: their coverage, moved and blurred."""
        moved = [
            replace(o, y=o.y - self.distance * self.light[0], x=o.x - self.distance * self.light[1]) for o in objects
        ]
        covered = torch.stack([coverage(o) for o in moved]).amax(0)
        reach = math.ceil(3 * self.softness)
        bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / self.softness) ** 2)
        bell = bell / bell.sum()
        padded = F.pad(covered[None, None], (reach,) * 4, mode="replicate")
        return F.conv2d(F.conv2d(padded, bell.view(1, 1, 1, -1)), bell.view(1, 1, -1, 1))[0, 0]

    def _surface(self, name: str, sides: tuple[int, int]) -> Tensor:
        """A crop of a photograph, [H, W, 3] in [0, 1]; the same for the same name."""
        rng = random.Random(f"{self.seed}-{name}")
        photograph, side = _atlas()[rng.choice(self.names)], rng.randint(*sides)
        top, left = rng.randint(0, SIDE - side), rng.randint(0, SIDE - side)
        crop = photograph[top : top + side, left : left + side]
        if rng.random() < 0.5:
            crop = crop.flip(1)
        crop = crop.permute(2, 0, 1)[None]
        return F.interpolate(crop, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)[0].permute(
            1, 2, 0
        )


def tinted(surface: Tensor, colour: tuple[float, float, float], contrast: float) -> Tensor:
    """The surface's light and shade, and a little of its own colours, about a colour; [H, W, 3].

    contrast: standard deviation of the light, as a share of the colour's.
    """
    light = surface.mean(-1, keepdim=True)
    shade = ((light - light.mean()) / light.std().clamp_min(0.03)).clamp(-2.5, 2.5) * contrast
    own = surface - light
    return torch.tensor(colour) * (1 + shade) + 0.2 * (shade + own - own.mean((0, 1)))


@cache
def _atlas() -> dict[str, Tensor]:
    """The photographs, [SIDE, SIDE, 3] in [0, 1]."""
    pixels = torch.from_numpy(np.asarray(Image.open(ATLAS).convert("RGB")).copy()).float() / 255
    return dict(zip(NAMES, pixels.split(SIDE, 1), strict=True))
