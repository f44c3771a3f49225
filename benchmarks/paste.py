"""What pasting back repairs, on real photographs with known drift: `python -m benchmarks.paste`.

Every figure is compared with the bound that it must keep; the command fails when one is missed. `--rows all,zoom`
measures some rows anew and keeps the others of the results; `--time` measures seconds and memory on one core, on a
quiet machine; `--pictures DIR` draws five cases, the worst among them.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from demo.figures import RESULTS, today, write_results
from lime_ops.compositing import paste
from lime_ops.photograph import without_drift
from lime_ops.resampling import stretch

from .paste_cases import LONG_SIDE, Case, make_case
from .paste_judge import BORDER, Judge
from .paste_rivals import METHODS, Result, host

FIRST_SEED = 100_000  # settings were chosen on 5,000 to 9,999
CASES = 200
DRIFTED = 0.5  # pixels: less is not called a drift
EVERYTHING = ("shift", "zoom", "gain", "gamma", "blur")


class Row(NamedTuple):
    """The cases of a row of the table. methods: how many cases other methods see (they are slow)."""

    drifts: tuple[str, ...] = ()
    background: bool = False
    megapixels: float | None = None
    others: Mapping[str, int] = MappingProxyType({})


ROWS = {
    "none": Row(others={"host": 200}),
    "none, background": Row(background=True),
    "shift": Row(("shift",)),
    "zoom": Row(("zoom",)),
    "gain and offset": Row(("gain",)),
    "gamma": Row(("gamma",)),
    "blur and noise": Row(("blur",)),
    "all": Row(
        EVERYTHING,
        others={"host": 100, "feathered": 100, "kornia": 12, "scikit-image": 50, "features": 100, "poisson": 50},
    ),
    "all, 12 megapixels": Row(EVERYTHING, megapixels=12),
    "all, background": Row(EVERYTHING, background=True),
}


class Bound(NamedTuple):
    figure: str  # of a row's summary
    most: float
    rows: tuple[str, ...]


GEOMETRIC = ("shift", "zoom", "all", "all, 12 megapixels")
TINTED = (*GEOMETRIC, "gain and offset", "gamma", "blur and noise")
BOUNDS = (
    Bound("corner_p95", 0.5, GEOMETRIC),
    Bound("declined", 0.1, GEOMETRIC),
    Bound("made_worse", 0, tuple(ROWS)),
    Bound("colour_median", 1.0, TINTED),
    Bound("colour_p95", 3.0, TINTED),
    Bound("gradient_off", 0.1, TINTED),
    Bound("changed", 1.0, ("none", "none, background")),
    Bound("outside", 0, tuple(ROWS)),
)
SECONDS = {"2 megapixels": 1.0, "12 megapixels": 3.0}
COLUMNS = {
    "cases": "cases",
    "corner_median": "corner error, median, px",
    "corner_p95": "95 %",
    "corner_worst": "worst",
    "declined": "declined, share",
    "made_worse": "made worse",
    "colour_median": "colour inside, median dE",
    "colour_p95": "95 % dE",
    "gradient_off": "gradient off, share",
    "changed": "most changed, of 255",
    "outside": "pixels changed outside",
}
NOTE = (
    "Corner error: of the transform, in pixels of an edit with the long side at 1024. Declined: not aligned though "
    "there was drift. Made worse: by more than 0.1 px than not aligning. Colour and gradient: beside the drift-free "
    "paste, on what is not the edited object. Most changed: from the drift-free paste, which undrifted ones must equal."
)
TIME_NOTE = (
    "`extra_memory_mb`: beyond the pictures and the result. `region_memory_mb`: before that, what finding the "
    "region and sampling in it takes beyond photograph and model; the mask alone has 4 bytes a pixel."
)


# --- one case --------------------------------------------------------------------------------------------------------


def ours(case: Case) -> tuple[Result, str, str]:
    """Our composite and transform, its kind, and what was said: LIME Paste Back on an edit of the whole photograph."""
    edit, matrix, kind, said = without_drift(case.photograph[0], case.edit[0], case.mask[0])
    return (paste(case.photograph, edit[None], case.mask, matrix[None], BORDER), matrix), kind, said


def corner_error(case: Case, matrix: Tensor) -> float:
    """The largest distance from the truth in the corners, in pixels of an edit whose long side is 1024."""
    bottom, right = (length - 1 for length in case.photograph.shape[1:3])
    corners = torch.tensor([[0, 0, 1], [right, 0, 1], [0, bottom, 1], [right, bottom, 1]]).double()
    there, truth = ((corners @ m.T)[:, :2] / (corners @ m.T)[:, 2:] for m in (matrix, case.truth))
    return float((there - truth).norm(dim=1).max()) * LONG_SIDE / max(case.edit.shape[1:3])


def measure(case: Case, others: list[str]) -> dict[str, dict[str, Any]]:
    """Figures of each method on one case, ours always."""
    reference = paste(case.photograph, case.clean, case.mask, None, BORDER)
    judge = Judge(case, reference)
    plain = corner_error(case, stretch(case.photograph.shape[1:3], case.edit.shape[1:3]))

    def figures(composite: Tensor, matrix: Tensor, own_reference: Tensor | None = None) -> dict[str, Any]:
        return {"corner": corner_error(case, matrix), "plain": plain, **judge.figures(composite, own_reference)}

    result, kind, said = ours(case)
    changed = 255 * float((result[0] - reference).abs().max())
    found = {"ours": figures(*result) | {"kind": kind, "said": said, "changed": changed}}
    for name in others:  # the host has no feather: its gradient is compared with its own drift-free paste's
        own = host(case._replace(edit=case.clean))[0] if name == "host" else None
        found[name] = figures(*METHODS[name](case), own)
    return found


# --- a row -----------------------------------------------------------------------------------------------------------


def measure_row(name: str, cases: int) -> dict[str, Any]:
    first = first_seed(name)
    return summaries(name, measure_cases(name, range(first, first + cases)))


def first_seed(name: str) -> int:
    return FIRST_SEED + 1000 * list(ROWS).index(name)


def measure_cases(name: str, seeds: range) -> list[dict[str, dict[str, Any]]]:
    """Of each case of a row, each method's figures."""
    row, found = ROWS[name], []
    for seed in seeds:
        case = make_case(seed, row.drifts, row.background, row.megapixels)
        others = [other for other, most in row.others.items() if seed - first_seed(name) < most]
        found.append({method: each | {"seed": seed} for method, each in measure(case, others).items()})
    return found


def summaries(name: str, cases: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    methods = ("ours", *ROWS[name].others)
    seeds = [case["ours"]["seed"] for case in cases]
    return {"date": today(), "seeds": [min(seeds), max(seeds)]} | {
        method: summary([case[method] for case in cases if method in case]) for method in methods
    }


def summary(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """A method's figures over the cases of a row."""

    def column(name: str) -> np.ndarray:
        return np.array([case[name] for case in cases], dtype=float)

    corner, plain, gradient = (column(name) for name in ("corner", "plain", "gradient"))
    colour, per_pixel, edited = (column(name) for name in ("colour", "colour_per_pixel", "object_colour"))
    drifted = plain > DRIFTED
    out = {
        "cases": len(cases),
        "corner_median": np.median(corner),
        "corner_p95": np.quantile(corner, 0.95),
        "corner_worst": corner.max(),
        "made_worse": int((corner > plain + 0.1).sum()),
        "colour_median": np.nanmedian(colour),
        "colour_p95": np.nanquantile(colour, 0.95),
        "colour_per_pixel_median": np.nanmedian(per_pixel),
        "object_colour_median": np.nanmedian(edited),
        "object_colour_p95": np.nanquantile(edited, 0.95),
        "gradient_median": np.median(gradient),
        "gradient_off": np.median(np.abs(gradient - 1)),
        "gradient_off_p95": np.quantile(np.abs(gradient - 1), 0.95),
        "outside": int(column("outside").sum()),
        "worst_seed": cases[int(corner.argmax())]["seed"],
    }
    if "kind" in cases[0]:
        kinds = [case["kind"] for case in cases]
        out["drifted"] = int(drifted.sum())
        out["declined"] = float(
            np.mean([kind == "none" for kind, far in zip(kinds, drifted, strict=True) if far] or [0])
        )
        out["kinds"] = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
        out["changed"] = column("changed").max()
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in out.items()}


# --- time and memory -------------------------------------------------------------------------------------------------


def measure_time(rounds: int) -> dict[str, Any]:
    """Median seconds of a whole paste on one core, and memory beyond pictures and result, each in a fresh process."""
    import subprocess

    found = {}
    for megapixels in (2, 12, 24):
        command = [sys.executable, "-m", "benchmarks.paste_time", str(megapixels), str(rounds)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[f"{megapixels} megapixels"] = json.loads(answer.splitlines()[-1])
    return found


# --- the table -------------------------------------------------------------------------------------------------------


def verdicts(rows: dict[str, Any], times: dict[str, Any]) -> list[str]:
    """A line for each bound and row that was measured; missed ones begin with MISSED."""
    figures = [
        (f"{bound.figure} of {row}", rows[row]["ours"][bound.figure], bound.most)
        for bound in BOUNDS
        for row in bound.rows
        if row in rows
    ]
    figures += [(f"seconds at {size}", times[size]["seconds"], most) for size, most in SECONDS.items() if size in times]
    return [f"{'kept' if value <= most else 'MISSED'}: {name}: {value} <= {most}" for name, value, most in figures]


def blocks(rows: dict[str, Any], times: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables of docs/results.md."""
    note = f"{NOTE} Rows measured {' to '.join(sorted({row['date'] for row in rows.values()}))}."
    own = {name: cells(rows[name]["ours"]) for name in ROWS if name in rows}
    others = {
        f"{method}, {name}": cells(rows[name][method])
        for name, row in ROWS.items()
        if name in rows
        for method in row.others
    }
    found = [
        {"title": "This pack, by what was put into the edit", "note": note, "rows": own},
        {"title": "Other ways, on the first of the same cases", "rows": others},
    ]
    if times:
        clocked = {size: {key: str(value) for key, value in each.items()} for size, each in times.items()}
        found.append({"title": "A whole paste on one core", "note": TIME_NOTE, "rows": clocked})
    return found


def cells(figures: dict[str, Any]) -> dict[str, Any]:
    """A row of a table, of a summary."""
    return {heading: str(figures[name]) for name, heading in COLUMNS.items() if name in figures}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paste", description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS).replace(", ", "_"), help="row names, with _ for a comma")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--time", action="store_true", help="seconds and memory only")
    parser.add_argument("--pictures", type=Path, help="draw five cases into this folder and stop")
    parser.add_argument("--out", type=Path, default=RESULTS / "paste.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    before = json.loads(options.out.read_text()) if options.out.exists() else {}
    rows, times = before.get("rows", {}), before.get("time", {})
    if options.pictures:
        from .paste_pictures import draw

        print(*draw(options.pictures, rows["all"]["seeds"][0], rows["all"]["ours"]["worst_seed"], EVERYTHING), sep="\n")
        return
    if options.time:
        times = measure_time(5)
    else:
        for name in options.rows.split(","):
            name = name.replace("_", ", ")
            rows[name] = measure_row(name, options.cases)
            print(name, rows[name]["ours"], flush=True)
    command = f"{parser.prog}` and `{parser.prog} --time"
    write_results(options.out, command, {"blocks": blocks(rows, times), "rows": rows, "time": times})
    lines = verdicts(rows, times)
    print("\n".join(lines))
    sys.exit(any(line.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    main()
