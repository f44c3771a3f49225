"""`python -m bulk evaluate`: every method edits every case, the edits are scored, a report says what came out."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ray.actor import ActorHandle

from . import datasets
from .datasets import Case
from .edit import Edit
from .engine import Pool, run
from .metrics import METRICS, Backbones, Metrics, region_iou
from .pictures import opened
from .report import report
from .rows import Row, make_row
from .store import Store, write


class Benchmark(NamedTuple):
    """To add one: a function that reads it into Cases, and an entry in BENCHMARKS."""

    name: str
    read: Callable[[Path, Path, int | None], list[Case]]  # (data, scratch folder, how many)
    backbones: Backbones


class Method(NamedTuple):
    """A way to edit. The names plain and published change the workflow."""

    name: str
    file: str
    workflow: dict


BASE, LARGE = Backbones("openai/clip-vit-base-patch32"), Backbones("openai/clip-vit-large-patch14")
BENCHMARKS = {
    "magicbrush": Benchmark("MagicBrush, single turn", datasets.magicbrush, BASE),
    "magicbrush-multi": Benchmark("MagicBrush, multi turn", datasets.magicbrush_multi, BASE),
    "pie-bench": Benchmark("PIE-Bench", datasets.pie_bench, LARGE),
}


class Score:
    """The job that scores edits: of cases, the edit and the found region by the row's key."""

    def __init__(self, backbones: Backbones, cases: Mapping[str, Case], edits: Path) -> None:
        self.metrics, self.cases, self.edits = Metrics(backbones), cases, Store(edits)

    def __call__(self, row: Row) -> tuple[dict[str, Any], Mapping[str, bytes]]:
        case, key = self.cases[row["key"]], row["key"]
        edited = opened(self.edits.path("pictures", key, ".png"))
        figures: dict[str, float | None] = dict.fromkeys(METRICS)
        if case.target:
            figures |= self.metrics.against_target(edited, opened(case.target))
        if case.caption:
            figures["clip_t"] = self.metrics.clip_t(edited, case.caption)
        if case.mask:
            mask, found = opened(case.mask), self.edits.path("masks", key, ".png")
            figures |= self.metrics.outside(edited, opened(case.source), mask)
            figures["iou"] = region_iou(opened(found), mask) if found.is_file() else None
        return figures | {"missing": json.dumps(self.metrics.missing)}, {}


def evaluate(
    benchmark: Benchmark,
    cases: Sequence[Case],
    methods: Sequence[Method],
    out: Path,
    seed: int,
    pool: Pool,
    servers: ActorHandle | None = None,
) -> str:
    """Edits and scores; both go on where they were stopped. The report, which is written to out/report.md too."""
    results = {}
    for method in methods:
        folder = out / method.name
        rows = {_row(case, seed)["key"]: (_row(case, seed), case) for case in cases}
        Store(folder).same_run({"workflow": method.workflow, "benchmark": benchmark.name})
        edits = [row for row, _ in rows.values()]
        run(edits, folder, pool, Edit, method.workflow, method.name, pool.threads, servers)
        edited = {record["key"] for record in Store(folder).records() if not record["error"]}
        scored = [row for row in edits if row["key"] in edited]
        of_key = {key: case for key, (_, case) in rows.items()}
        run(scored, folder / "scores", pool, Score, benchmark.backbones, of_key, folder.resolve())
        results[method.name] = summary(list(Store(folder / "scores").records()), len(rows), method.file)
    text = report(benchmark.name, results)
    write(out / "report.json", json.dumps(results, indent=1).encode())
    write(out / "report.md", text.encode())
    return text


def summary(records: Sequence[dict[str, Any]], rows: int, workflow: str) -> dict[str, Any]:
    """Means over the rows that have a figure, how many were scored, and what could not be measured."""
    means, missing = {}, {}
    for record in records:
        missing |= json.loads(record.get("missing", "{}"))
    for metric in METRICS:
        values = [record[metric] for record in records if record.get(metric) is not None]
        means[metric] = float(np.mean(values)) if values else None
    return {
        "workflow": workflow,
        "rows": rows,
        "scored": sum(not r["error"] for r in records),
        "missing": missing,
    } | means


def _row(case: Case, seed: int) -> Row:
    return make_row(case.key, case.source, case.instructions, seed)
