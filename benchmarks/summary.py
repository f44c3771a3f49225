"""Methods measured on many scenes, as the rows of a table."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.methods import Method, edit_scene
from demo.edits import for_each, held_out_scene
from demo.figures import interval
from demo.scenes import Scene

COMPARED = ("roi_iou", "outside", "inside", "success")
Figures = dict[str, np.ndarray]  # figure -> [scenes], NaN where a method has no region


def measure(
    methods: Mapping[str, Method], seeds: range, scene_of: Callable[[int], Scene] = held_out_scene
) -> dict[str, Figures]:
    """All figures of each method on the scenes of these seeds."""
    scenes = for_each(partial(edit_scene, methods=methods, scene_of=scene_of), seeds)
    return {
        name: {figure: np.array([scene[name][figure] for scene in scenes], float) for figure in scenes[0][name]}
        for name in methods
    }


def row(figures: Figures, reference: Figures | None = None) -> dict[str, Any]:
    """Means with intervals; where there is a reference, "differences" from it, scene by scene, with theirs."""
    known = {name: values for name, values in figures.items() if not np.isnan(values).any()}
    cells: dict[str, Any] = {name: interval(known[name]) for name in COMPARED if name in known}
    cells["unets"] = {"value": float(known["unets"].mean())}
    if reference is not None:
        both = [name for name in COMPARED if name in known and not np.isnan(reference[name]).any()]
        cells["differences"] = {name: interval(known[name] - reference[name]) for name in both}
    return cells


def rows(measured: Mapping[str, Figures], reference: str) -> dict[str, dict[str, Any]]:
    """A row a method, with its differences from the reference, which has none."""
    return {
        name: row(figures, None if name == reference else measured[reference]) for name, figures in measured.items()
    }


def by_kind(values: np.ndarray, kinds: list[str]) -> dict[str, Any]:
    """Mean and interval for each kind of edit; values [scenes], kinds of those scenes."""
    return {kind: interval(values[np.array(kinds) == kind]) for kind in dict.fromkeys(kinds)}
