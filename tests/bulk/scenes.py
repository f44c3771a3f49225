"""Scenes of the demo model as files, for tests of what edits them."""

import csv
from pathlib import Path

from PIL import Image

from demo.scenes import Scene, make_scene

WORKFLOW = "1"  # the template that needs no download


def picture(tensor) -> Image.Image:
    return Image.fromarray((tensor.numpy() * 255).round().astype("uint8"))


def write_scenes(folder: Path, seeds: range) -> tuple[Path, list[Scene]]:
    """A folder with pictures, and in it a table of their instructions."""
    scenes = [make_scene(seed, "held_out") for seed in seeds]
    table = folder / "instructions.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "instruction"])
        for seed, scene in zip(seeds, scenes, strict=True):
            picture(scene.source).save(folder / f"{seed}.png")
            writer.writerow([f"{seed}.png", scene.instruction])
    return table, scenes
