"""Procedural scenes with an edit instruction, the wanted picture and the exact region. torch and stdlib only.

Some shape-colour pairs and some wordings are kept for evaluation: they never occur in training.
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

SIZE = 64  # pixels
SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond")
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

# {o}: the object, {n}: the new shape, {c}: the new colour, {g}: the new background
WORDINGS = {
    "train": {
        "recolour": (
            "make the {o} {c}", "turn the {o} {c}", "change the {o} to {c}", "paint the {o} {c}",
            "the {o} should be {c}", "could you make the {o} {c}", "I want a {c} {o}", "I want the {o} to become {c}",
            "please make the {o} {c}", "let the {o} become {c}",
        ),
        "replace": (
            "replace the {o} with a {n}", "turn the {o} into a {n}", "change the {o} into a {n}",
            "swap the {o} for a {n}", "please make the {o} a {n}", "what if the {o} were a {n}",
            "could you make the {o} a {n}", "the {o} should become a {n}", "I want the {o} to become a {n}",
            "I want a {n} instead of the {o}", "let the {o} become a {n}",
        ),
        "remove": (
            "remove the {o}", "delete the {o}", "take away the {o}", "please get rid of the {o}",
            "I want the {o} to be gone", "let the {o} vanish", "could you delete the {o}", "please remove the {o}",
        ),
        "background": (
            "make the background {g}", "turn the background {g}", "change the background to {g}",
            "the background should be {g}", "could you paint the background {g}", "what if the background were {g}",
            "I want a {g} background", "please turn the background {g}", "let the background become {g}",
        ),
    },
    "held_out": {
        "recolour": (
            "I want the {o} to be {c}", "please paint the {o} {c}", "what if the {o} were {c}", "let the {o} be {c}",
        ),
        "replace": ("could you replace the {o} with a {n}", "the {o} should be a {n}", "I want the {o} to be a {n}"),
        "remove": ("could you remove the {o}", "please take away the {o}", "make the {o} vanish"),
        "background": (
            "I want the background to be {g}", "please make the background {g}", "let the background be {g}",
        ),
    },
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scene:
    """One edit. Pictures float [H, W, 3] in [0, 1]; region bool [H, W], true where the edit belongs."""

    source: Tensor
    instruction: str
    wanted: Tensor
    region: Tensor
    kind: str
    words: tuple[str, ...]  # what is edited and what it becomes, in order


@dataclass(frozen=True)
class _Object:
    shape: str
    colour: str
    x: float  # pixels, centre
    y: float
    radius: float


def held_out(shape: str, colour: str) -> bool:
    """True for the shape-colour pairs that training never shows."""
    return (SHAPES.index(shape) + list(COLOURS).index(colour)) % 6 == 0


def make_scene(seed: int, split: str = "train", kind: str | None = None) -> Scene:
    """The scene of a seed. split: "train" or "held_out"; kind: one of KINDS, or None for a mixture."""
    rng = random.Random(f"{split}-{seed}-{kind}")
    kind = kind or rng.choice(KINDS)
    action = rng.choice(("recolour", "replace", "remove")) if kind == "small" else kind
    objects = _place(rng, split, small=kind == "small")
    target, others = objects[0], objects[1:]
    ground, field = rng.choice(list(GROUNDS)), _Field(rng)
    words: list[str] = []
    fill: dict[str, str] = {}
    alone = all(o.shape != target.shape for o in others)
    name = target.shape if alone and rng.random() < 0.4 else f"{target.colour} {target.shape}"
    edited, new_ground = target, ground
    if action == "recolour":
        colour = _another_colour(rng, split, target)
        edited = _Object(target.shape, colour, target.x, target.y, target.radius)
        fill = {"o": name, "c": colour}
    elif action == "replace":
        shape = _another_shape(rng, split, target)
        edited = _Object(shape, target.colour, target.x, target.y, target.radius)
        fill = {"o": name, "n": shape}
    elif action == "remove":
        edited = None
        fill = {"o": name}
    else:
        new_ground = rng.choice([g for g in GROUNDS if g != ground])
        fill = {"g": new_ground}
    wording = rng.choice(WORDINGS[split][action])
    instruction = wording.format(**fill)
    content = {*SHAPES, *COLOURS, *GROUNDS, "background"}
    words = [w for w in instruction.split() if w in content]
    source = _draw(field.picture(ground), [target, *others])
    wanted = _draw(field.picture(new_ground), [*([edited] if edited else []), *others])
    if action == "background":
        region = torch.stack([coverage(o) for o in objects]).amax(0) < 0.5
    else:
        region = torch.stack([coverage(o) for o in (target, edited) if o]).amax(0) >= 0.5
    noise = field.grain
    return Scene((source + noise).clamp(0, 1), instruction, (wanted + noise).clamp(0, 1), region, kind, tuple(words))


def _place(rng: random.Random, split: str, small: bool) -> list[_Object]:
    """Two to four objects that do not touch; the first is the one that is edited."""
    pairs = [(s, c) for s in SHAPES for c in COLOURS]
    allowed = [p for p in pairs if split == "held_out" or not held_out(*p)]
    first = [p for p in allowed if split == "train" or held_out(*p)]
    objects: list[_Object] = []
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
        objects.append(_Object(shape, colour, x, y, radius))
    return objects


def _another_colour(rng: random.Random, split: str, target: _Object) -> str:
    others = [c for c in COLOURS if c != target.colour]
    return rng.choice([c for c in others if split == "held_out" or not held_out(target.shape, c)])


def _another_shape(rng: random.Random, split: str, target: _Object) -> str:
    others = [s for s in SHAPES if s != target.shape and {s, target.shape} not in LOOKALIKES]
    return rng.choice([s for s in others if split == "held_out" or not held_out(s, target.colour)])


class _Field:
    """The light and texture of a background: a gradient, a pattern and grain, whatever its colour."""

    def __init__(self, rng: random.Random) -> None:
        generator = torch.Generator().manual_seed(rng.getrandbits(40))
        y, x = _GRID
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


_GRID = torch.meshgrid(*[torch.arange(SIZE, dtype=torch.float32) + 0.5 - SIZE / 2] * 2, indexing="ij")


def _draw(picture: Tensor, objects: list[_Object]) -> Tensor:
    for o in objects:
        picture = torch.lerp(picture, torch.tensor(COLOURS[o.colour]), coverage(o)[..., None])
    return picture


def coverage(o: _Object) -> Tensor:
    """How much of each pixel the object covers, [H, W] in [0, 1]."""
    y, x = _GRID[0] + SIZE / 2 - o.y, _GRID[1] + SIZE / 2 - o.x
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
