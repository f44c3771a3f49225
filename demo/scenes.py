"""Procedural scenes with an edit instruction, the wanted picture and the exact region. torch and stdlib only.

Some shape-colour pairs and some wordings are kept for evaluation: they never occur in training.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from .shapes import GRID, SHAPES, SIZE, Object, coverage
from .wordings import WORDINGS

COLOURS = {
    "red": (0.85, 0.14, 0.14),
    "green": (0.12, 0.62, 0.22),
    "blue": (0.14, 0.28, 0.88),
    "yellow": (0.96, 0.84, 0.12),
    "purple": (0.58, 0.18, 0.74),
    "orange": (0.97, 0.5, 0.08),
    "white": (0.96, 0.96, 0.96),
    "black": (0.06, 0.06, 0.06),
}
GROUNDS = {
    "gray": (0.55, 0.55, 0.56),
    "brown": (0.42, 0.3, 0.2),
    "beige": (0.8, 0.72, 0.58),
    "teal": (0.2, 0.48, 0.5),
    "pink": (0.86, 0.62, 0.68),
    "olive": (0.45, 0.48, 0.25),
}
# Of one size these differ in a rim that is thinner than what the autoencoder blurs: nobody asks for such an edit.
LOOKALIKES = ({"circle", "square"}, {"circle", "diamond"})
KINDS = ("recolour", "replace", "remove", "background", "small")
TWO = "two"  # clauses: a kind of edit that is made only where it is asked for


@dataclass(frozen=True, eq=False)
class Scene:
    """One edit. Pictures float [H, W, 3] in [0, 1]; region bool [H, W], true where the edit belongs."""

    source: Tensor
    instruction: str
    wanted: Tensor
    region: Tensor
    kind: str
    words: tuple[str, ...]  # what is edited and what it becomes, in order


def held_out(shape: str, colour: str) -> bool:
    """True for the shape-colour pairs that training never shows."""
    return (SHAPES.index(shape) + list(COLOURS).index(colour)) % 6 == 0


class Look(Protocol):
    """How a scene is drawn: light and texture, whatever the colours."""

    grain: Tensor

    def picture(self, ground: str) -> Tensor: ...

    def draw(self, picture: Tensor, objects: list[Object]) -> Tensor: ...


def make_scene(
    seed: int, split: str = "train", kind: str | None = None, look: Callable[[random.Random], Look] | None = None
) -> Scene:
    """The scene of a seed. split: "train" or "held_out"; kind: one of KINDS, TWO, or None for a mixture of KINDS.

    look: how it is drawn; default: flat colours on a lit ground.
    """
    rng = random.Random(f"{split}-{seed}-{kind}")
    kind = kind or rng.choice(KINDS)
    action = rng.choice(("recolour", "replace", "remove")) if kind == "small" else kind
    objects = _place(rng, split, small=kind == "small")
    target, others = objects[0], objects[1:]
    ground, drawn = rng.choice(list(GROUNDS)), (look or _Field)(rng)
    fill = {"o": _name(rng, target, others)}
    edited: dict[Object, Object | None] = {}
    new_ground, wordings = ground, WORDINGS[split][action]
    if action in ("recolour", TWO):
        fill["c"] = _another_colour(rng, split, target)
        edited[target] = replace(target, colour=fill["c"])
    elif action == "replace":
        fill["n"] = _another_shape(rng, split, target)
        edited[target] = replace(target, shape=fill["n"])
    elif action == "remove":
        edited[target] = None
    if action == TWO:
        wordings = [w for w in wordings if others or "{g}" in w]
    if action == "background":
        fill["g"] = new_ground = rng.choice([g for g in GROUNDS if g != ground])
    wording = rng.choice(wordings)
    if action == TWO and "{g}" in wording:
        fill["g"] = new_ground = rng.choice([g for g in GROUNDS if g != ground])
    elif action == TWO:
        other = others[0]
        fill |= {"p": _name(rng, other, [target, *others[1:]]), "d": _another_colour(rng, split, other)}
        edited[other] = replace(other, colour=fill["d"])
    instruction = wording.format(**fill)
    content = {*SHAPES, *COLOURS, *GROUNDS, "background"}
    words = [w for w in instruction.split() if w in content]
    source = drawn.draw(drawn.picture(ground), objects)
    wanted = drawn.draw(drawn.picture(new_ground), [o for o in (edited.get(o, o) for o in objects) if o])
    region = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    if edited:
        region = torch.stack([coverage(o) for pair in edited.items() for o in pair if o]).amax(0) >= 0.5
    if new_ground != ground:
        region = region | (torch.stack([coverage(o) for o in objects]).amax(0) < 0.5)
    source, wanted = ((picture + drawn.grain).clamp(0, 1) for picture in (source, wanted))
    return Scene(source, instruction, wanted, region, kind, tuple(words))


def _name(rng: random.Random, target: Object, others: list[Object]) -> str:
    """What an object is called: by its shape alone at times, if no other has it."""
    alone = all(o.shape != target.shape for o in others)
    return target.shape if alone and rng.random() < 0.4 else f"{target.colour} {target.shape}"


def _place(rng: random.Random, split: str, small: bool) -> list[Object]:
    """Two to four objects that do not touch; the first is the one that is edited."""
    pairs = [(s, c) for s in SHAPES for c in COLOURS]
    allowed = [p for p in pairs if split == "held_out" or not held_out(*p)]
    first = [p for p in allowed if split == "train" or held_out(*p)]
    objects: list[Object] = []
    count = rng.randint(2, 4)
    for _ in range(200):
        if len(objects) == count:
            break
        radius = rng.uniform(6.0, 7.5) if small and not objects else rng.uniform(9.0, 13.5)
        x, y = (rng.uniform(radius + 1, SIZE - radius - 1) for _ in range(2))
        if any((o.x - x) ** 2 + (o.y - y) ** 2 < (o.radius + radius + 2.5) ** 2 for o in objects):
            continue
        taken = {(o.shape, o.colour) for o in objects}
        shape, colour = rng.choice([p for p in (allowed if objects else first) if p not in taken])
        objects.append(Object(shape, colour, x, y, radius))
    return objects


def _another_colour(rng: random.Random, split: str, target: Object) -> str:
    others = [c for c in COLOURS if c != target.colour]
    return rng.choice([c for c in others if split == "held_out" or not held_out(target.shape, c)])


def _another_shape(rng: random.Random, split: str, target: Object) -> str:
    others = [s for s in SHAPES if s != target.shape and {s, target.shape} not in LOOKALIKES]
    return rng.choice([s for s in others if split == "held_out" or not held_out(s, target.colour)])


class _Field:
    """The light and texture of a background: a gradient, a pattern and grain, whatever its colour."""

    def __init__(self, rng: random.Random) -> None:
        generator = torch.Generator().manual_seed(rng.getrandbits(40))
        y, x = GRID
        angle = rng.uniform(0, 6.2832)
        along = (torch.cos(torch.tensor(angle)) * x + torch.sin(torch.tensor(angle)) * y) / SIZE
        self.shade = 1 + rng.uniform(0.0, 0.35) * along
        style = rng.choice(("plain", "stripes", "checks", "clouds"))
        if style == "stripes":
            self.shade = self.shade + 0.06 * torch.sin(along * rng.uniform(15, 35))
        elif style == "checks":
            step = rng.uniform(8, 14)
            self.shade = self.shade + 0.05 * torch.sign(torch.sin(x * 3.1416 / step) * torch.sin(y * 3.1416 / step))
        elif style == "clouds":
            coarse = torch.randn(1, 1, 6, 6, generator=generator)
            smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic", align_corners=True)[0, 0]
            self.shade = self.shade + 0.08 * smooth
        self.tint = torch.tensor([rng.uniform(-0.04, 0.04) for _ in range(3)])
        self.grain = torch.randn(SIZE, SIZE, 1, generator=generator) * rng.uniform(0.0, 0.02)

    def picture(self, ground: str) -> Tensor:
        return (torch.tensor(GROUNDS[ground]) + self.tint) * self.shade[..., None]

    def draw(self, picture: Tensor, objects: list[Object]) -> Tensor:
        for o in objects:
            picture = torch.lerp(picture, torch.tensor(COLOURS[o.colour]), coverage(o)[..., None])
        return picture
