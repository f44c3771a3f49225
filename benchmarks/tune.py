"""Repeats a sweep that chose a setting: `python -m benchmarks.tune NAME` writes benchmarks/results/tune_NAME.json.

Scenes have seeds from 3,000 up, which no reported figure uses. One choice is changed at a time. `--photographic`: on
photographic scenes, into tune_NAME_photographic.json.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from benchmarks.methods import PLAIN, RECOMMENDED, Method, edited_with, found_with
from benchmarks.report import table
from benchmarks.summary import measure, rows
from demo.edits import GUIDANCE, Guidance, held_out_scene
from demo.figures import RESULTS, command_of, write_results
from demo.photographs import held_out_photo_scene
from demo.scenes import Scene

FIRST_TUNING_SEED = 3000


class Sweep(NamedTuple):
    title: str
    used: str  # the row of the value that is in use
    methods: dict[str, Method]


def of_setting(method: Callable[..., Method], name: str, *values: Any) -> Sweep:
    """One pass at the recommended setting with each of these values of one of its fields."""
    methods = {f"{value:g}": method(**{name: value}) for value in values}
    return Sweep(f"`{name}`, one pass", f"{getattr(RECOMMENDED, name):g}", methods)


def of_guidance() -> Sweep:
    """Plain edits over text and image guidance."""
    pairs = [Guidance(text, image) for image in (1.0, 1.2, 1.5) for text in (1.0, 1.2, 1.5, 2.0, 3.0)]
    methods = {f"{g.text:g} / {g.image:g}": replace(PLAIN, guidance=g) for g in pairs}
    return Sweep("text / image guidance, plain edit", f"{GUIDANCE.text:g} / {GUIDANCE.image:g}", methods)


SWEEPS = {
    "threshold": of_setting(found_with, "threshold", 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "clusters": of_setting(found_with, "clusters", 6, 8, 12, 16, 20, 24, 32),
    "outline": of_setting(found_with, "outline_variance", 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "strength": of_setting(edited_with, "strength", 0.0, 0.5, 0.8, 0.9, 0.95, 1.0),
    "feather": of_setting(edited_with, "feather", 0, 3, 6, 9, 12, 18),
    "guidance": of_guidance(),
}


def block(sweep: Sweep, seeds: range, scene_of: Callable[[int], Scene] = held_out_scene) -> dict[str, Any]:
    """The sweep's table: a row a value, with its differences from the value that is used."""
    measured = measure(sweep.methods, seeds, scene_of)
    told = {
        f"{name} (used)" if name == sweep.used else name: cells for name, cells in rows(measured, sweep.used).items()
    }
    return {"title": sweep.title, "rows": told}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune", description=__doc__)
    parser.add_argument("name", choices=SWEEPS)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--photographic", action="store_true", help="on photographic scenes")
    options = parser.parse_args()
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + options.scenes)
    sweep, scene_of, name = SWEEPS[options.name], held_out_scene, options.name
    if options.photographic:
        sweep, scene_of = sweep._replace(title=f"{sweep.title}, photographic scenes"), held_out_photo_scene
        name = f"{name}_photographic"
    swept = block(sweep, seeds, scene_of)
    write_results(RESULTS / f"tune_{name}.json", command_of(parser), {"blocks": [swept]}, scenes=options.scenes)
    print(table(swept))


if __name__ == "__main__":
    main()
