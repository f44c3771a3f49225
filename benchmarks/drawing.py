"""The pictures of benchmarks.quality."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from demo.scenes import Scene


def draw_sheet(scenes: list[Scene], seeds: list[int], pictures: list[dict[str, np.ndarray]], path: Path) -> None:
    """A row a scene: source, wanted picture and one column a method, above them the instruction and the seed."""
    from matplotlib.figure import Figure
    from PIL import Image

    names = ["source", "wanted", *pictures[0]]
    figure = Figure(figsize=(1.5 * len(names), 1.62 * len(scenes)))
    axes = figure.subplots(len(scenes), len(names), squeeze=False)
    for row, scene, seed, edited in zip(axes, scenes, seeds, pictures, strict=True):
        images = [scene.source.numpy(), scene.wanted.numpy(), *edited.values()]
        for axis, image in zip(row, images, strict=True):
            axis.imshow(image.clip(0, 1))
            axis.set_axis_off()
        row[0].text(0, -4, f"{scene.instruction} (seed {seed})", fontsize=8, fontweight="bold")
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, fontsize=7, pad=18)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.05, 0.25)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").quantize(256).save(path, optimize=True)  # grain makes the file large otherwise


def draw_curves(curves: dict[str, list[tuple[float, dict[str, Any]]]], path: Path) -> None:
    """Outside change against success, a curve a method; its points are (text guidance, row of a table)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5))
    axis = figure.subplots()
    for name, points in curves.items():
        x = [100 * row["success"]["value"] for _, row in points]
        y = [row["outside"]["value"] for _, row in points]
        axis.plot(x, y, marker="o", label=name)
        for a, b, (text, _) in zip(x, y, points, strict=True):
            axis.annotate(f"{text:g}", (a, b), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axis.set(xlabel="edits that succeed, %", ylabel="mean absolute change outside the region", ylim=(0, None))
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
