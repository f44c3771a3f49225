"""The training set of the demo's models: scenes, drawn once, as latents of the demo's autoencoder."""

import argparse
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .photographs import make_photo_scene
from .scenes import SIZE, TWO, make_scene
from .train_loop import device

LATENT = 16  # latent pixels a side
HIGH_NOISE = 0.6  # share of samples at the highest noise, where only the text says what to do
# Shares of the kinds of edit: drawing another shape is what takes longest to learn.
MIXTURE = {"recolour": 3, "replace": 8, "remove": 3, "background": 2, "small": 4}
PHOTO_MIXTURE = MIXTURE | {TWO: 5}
BLOCK = 500  # scenes that are drawn at once

Block = tuple[Tensor, Tensor, list[str], list[tuple[str, ...]]]


def _draw_range(seeds: range, photographic: bool) -> Block:
    torch.set_num_threads(1)
    mixture, make = (PHOTO_MIXTURE, make_photo_scene) if photographic else (MIXTURE, make_scene)
    kinds = random.Random(seeds.start).choices(list(mixture), list(mixture.values()), k=len(seeds))
    scenes = [make(seed, "train", kind) for seed, kind in zip(seeds, kinds, strict=True)]
    pictures = torch.stack([torch.stack([s.source, s.wanted]) for s in scenes]).mul(255).round().byte()
    regions = torch.stack([s.region for s in scenes]).float()
    small = F.avg_pool2d(regions[:, None], SIZE // LATENT)[:, 0].half()
    return pictures, small, [s.instruction for s in scenes], [s.words for s in scenes]


def draw_scenes(count: int, seed: int, workers: int | None, photographs: float = 0.0) -> Iterator[Block]:
    """Yields blocks of scenes: pictures uint8 [n, 2, H, W, 3], regions [n, 16, 16], texts, words.

    photographs: share of the blocks whose scenes are photographic, two clauses among their instructions.
    """
    starts = range(seed * 10_000_000, seed * 10_000_000 + count, BLOCK)
    photographic = [int((i + 1) * photographs) > int(i * photographs) for i in range(len(starts))]
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_draw_range, [range(s, s + BLOCK) for s in starts], photographic)


def to_network(pictures: Tensor) -> Tensor:
    """uint8 [..., H, W, 3] to float [..., 3, H, W] in [-1, 1]."""
    return pictures.movedim(-1, -3).float().to(device()) / 127.5 - 1


def encoded_scenes(options: argparse.Namespace) -> dict[str, Any]:
    """The whole training set: latents [N, 2, 4, 16, 16] of source and wanted, regions [N, 16, 16], texts, words."""
    from .model import Autoencoder, read_weights

    photographs = f"_{options.photographs:g}" if options.photographs else ""
    path = options.out / f"scenes_{options.scenes}_{options.seed}{photographs}.pt"
    if path.is_file():
        return torch.load(path, weights_only=True)
    autoencoder = Autoencoder().to(device())
    autoencoder.load_state_dict(read_weights("autoencoder"))
    latents, regions, texts, words = [], [], [], []
    drawn = draw_scenes(options.scenes, options.seed, options.workers, options.photographs)
    for pictures, region, instructions, chosen in drawn:
        with torch.inference_mode():
            encoded = autoencoder.encode(to_network(pictures.flatten(0, 1)))
        latents.append(encoded.unflatten(0, (-1, 2)).half().cpu())
        regions.append(region)
        texts += instructions
        words += chosen
    data = {"latents": torch.cat(latents), "regions": torch.cat(regions), "texts": texts, "words": words}
    torch.save(data, path)
    return data


def loss_weight(source: Tensor, wanted: Tensor, regions: Tensor, told: Tensor) -> Tensor:
    """Weight of the error at each latent pixel, [B, 1, h, w]; told: the samples [B] that were told what to do.

    What changes is a small part of the picture: without weight, doing nothing is nearly free.
    """
    changed = (wanted - source).abs().mean(1, keepdim=True).clamp(max=1) * told[:, None, None, None]
    return 1 + 2 * regions[:, None] + 5 * changed
