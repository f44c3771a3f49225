"""How well regions are found and edits kept inside them, on scenes the demo model has not seen.

`python -m benchmarks.quality` writes benchmarks/results/quality.json and the pictures docs/quality_*.png. All methods
see the same scenes and noise. Settings were chosen on other scenes (benchmarks.tune).
"""

import argparse
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.drawing import draw_curves, draw_sheet
from benchmarks.methods import (
    DIFFERENCE,
    NOISE_MASK,
    ONE_PASS,
    PLAIN,
    PUBLISHED,
    PUBLISHED_LIME,
    RECOMMENDED,
    TRUE,
    TWO_PASSES,
    changes,
    edit_scene,
    edited_with,
    found_with,
    scaled,
)
from benchmarks.report import table
from benchmarks.summary import Figures, by_kind, measure, row, rows
from demo.edits import FIRST_SEED, Guidance, held_out_scene
from demo.figures import RESULTS, command_of, write_results
from demo.host import PACK

REFERENCE = "this pack, one pass"
# Guidance is text / image.
WHOLE = {
    **{
        f"plain, guidance {t:g} / {i:g}": replace(PLAIN, guidance=Guidance(t, i))
        for t, i in ((1.0, 1.0), (1.2, 1.0), (1.5, 1.2), (2.0, 1.5), (3.0, 1.0), (5.5, 1.5))
    },
    "published LIME": PUBLISHED_LIME,
    REFERENCE: ONE_PASS,
    "this pack, two passes": TWO_PASSES,
}
CHANGED = {
    "without paste back": replace(ONE_PASS, paste_back=False),
    "without keep outside": replace(ONE_PASS, keep_outside=False),
    "without regularising": replace(ONE_PASS, regularize=False),
    "only regularising": replace(ONE_PASS, keep_outside=False, paste_back=False),
    "plain, pasted back": replace(ONE_PASS, regularize=False, keep_outside=False),
    "pieces of words and end token locate": found_with(pieces_locate=True),
    "padding silenced too": edited_with(silenced="start, other words and padding"),
    "published tokens silenced": edited_with(silenced="start, stop words and padding"),
    "mean of steps": found_with(mean_share=0.4),
    "smallest layers recorded": found_with(min_recorded_pixels=1),
    "corners aligned": found_with(align_corners=True),
    "8 clusters": found_with(clusters=8),
    "hottest pixels choose": found_with(by_mean_attention=False),
    "outlines not followed": found_with(follow_outlines=False),
    "corners aligned, outlines not followed": found_with(align_corners=True, follow_outlines=False),
    "strength 1": edited_with(strength=1.0),
    "all branches regularised": edited_with(instruction_only=False),
    "nearest pixel in a layer": edited_with(cover_touched_pixels=False),
    "true region": replace(ONE_PASS, region=TRUE),
    "true region, not pasted back": replace(ONE_PASS, region=TRUE, paste_back=False),
    "noise mask, found region": NOISE_MASK,
    "noise mask, true region": replace(NOISE_MASK, region=TRUE),
    "noise mask, difference": replace(NOISE_MASK, region=DIFFERENCE),
}
TEXT_GUIDANCES = (1.2, 2.0, 3.0, 5.0, 7.5)
CURVES = {
    "plain": PLAIN,
    "published LIME": PUBLISHED_LIME,
    REFERENCE: ONE_PASS,
    "without paste back": CHANGED["without paste back"],
    "noise mask, found region": NOISE_MASK,
}
SHEET_ROWS = 10
SHOWN = ("plain, guidance 1.2 / 1", "published LIME", REFERENCE, "true region", "noise mask, difference")


def blocks_of_methods(measured: dict[str, Figures], kinds: list[str]) -> list[dict[str, Any]]:
    """Tables of whole methods, of one choice changed, of several changed, and of the kinds of edit."""

    every = rows(measured, REFERENCE)

    def changed(counts: Container[int]) -> dict[str, Any]:
        told = {name: changes(method) for name, method in CHANGED.items()}
        return {name: {"changed": ", ".join(what)} | every[name] for name, what in told.items() if len(what) in counts}

    shown = ("plain, guidance 1.2 / 1", "published LIME", REFERENCE)
    return [
        {
            "title": "Whole methods",
            "note": f"Published LIME is the setting PUBLISHED, in miniature {', '.join(scaled(PUBLISHED))}; this pack "
            f"is RECOMMENDED, in miniature {', '.join(scaled(RECOMMENDED))}.",
            "rows": {name: every[name] for name in WHOLE},
        },
        {"title": "This pack in one pass, with one choice changed", "rows": changed([1])},
        {"title": "This pack in one pass, with several choices changed", "rows": changed(range(2, 100))},
        {
            "title": "Share of edits that succeed, by kind",
            "rows": {n: by_kind(measured[n]["success"], kinds) for n in shown},
        },
        {"title": "RoI IoU by kind of edit", "rows": {n: by_kind(measured[n]["roi_iou"], kinds) for n in shown[1:]}},
    ]


def at_guidance(name: str, text: float) -> str:
    return f"{name}, text guidance {text:g}"


def block_of_curves(seeds: range) -> dict[str, Any]:
    """A table of methods over text guidances."""
    methods = {
        at_guidance(name, text): replace(method, guidance=Guidance(text, method.guidance.image))
        for name, method in CURVES.items()
        for text in TEXT_GUIDANCES
    }
    rows = {name: row(figures) for name, figures in measure(methods, seeds).items()}
    return {"title": "Over text guidances", "note": f"{len(seeds)} scenes.", "rows": rows}


def draw(block: dict[str, Any], seeds: range, folder: Path) -> None:
    """The sheet of the first scenes, and the curves of a block."""
    shown = {name: (WHOLE | CHANGED)[name] for name in SHOWN}
    pictures = [{name: figures["picture"] for name, figures in edit_scene(seed, shown, True).items()} for seed in seeds]
    draw_sheet([held_out_scene(seed) for seed in seeds], list(seeds), pictures, folder / "quality_sheet.png")
    curves = {name: [(text, block["rows"][at_guidance(name, text)]) for text in TEXT_GUIDANCES] for name in CURVES}
    draw_curves(curves, folder / "quality_curves.png")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--sweep", type=int, default=30, help="scenes of the guidance sweep; default: %(default)s")
    parser.add_argument("--out", type=Path, default=RESULTS / "quality.json")
    parser.add_argument("--pictures", type=Path, default=PACK / "docs", help="folder of the two pictures")
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.scenes)
    measured = measure(WHOLE | CHANGED, seeds)
    blocks = blocks_of_methods(measured, [held_out_scene(seed).kind for seed in seeds])
    blocks.append(block_of_curves(seeds[: options.sweep]))
    write_results(options.out, command_of(parser), {"blocks": blocks}, scenes=options.scenes)
    print(*map(table, blocks), sep="\n")
    draw(blocks[-1], seeds[:SHEET_ROWS], options.pictures)


if __name__ == "__main__":
    main()
