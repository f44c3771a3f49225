"""A benchmark from its files to the report, with the demo model, random networks and one process."""

import json

import numpy as np
import pytest
from PIL import Image

from backbones import random_backbones
from bulk.datasets import magicbrush
from bulk.engine import Pool, Worker
from bulk.evaluate import Benchmark, Method, evaluate, summary
from bulk.report import COLUMNS, PAPER, report
from bulk.store import Store
from bulk.workflow import read_workflow
from demo.scenes import make_scene
from scenes import WORKFLOW, picture


@pytest.fixture
def test_set(tmp_path):
    """Two scenes as MagicBrush's test set has them."""
    sessions = {}
    for seed in (0, 1):
        scene, session = make_scene(seed, "held_out"), str(seed)
        folder = tmp_path / "test" / "images" / session
        folder.mkdir(parents=True)
        picture(scene.source).save(folder / f"{session}-input.png")
        picture(scene.wanted).save(folder / f"{session}-output1.png")
        Image.fromarray(np.where(scene.region.numpy(), 255, 0).astype(np.uint8)).save(folder / f"{session}-mask1.png")
        names = {"input": f"{session}-input.png", "mask": f"{session}-mask1.png", "output": f"{session}-output1.png"}
        sessions[session] = [names | {"instruction": scene.instruction}]
    (tmp_path / "test" / "edit_sessions.json").write_text(json.dumps(sessions))
    return tmp_path / "test"


def run_here(rows, folder, pool, make_job, *arguments):
    """What Ray does with workers, in this process."""
    worker = Worker(folder, make_job, arguments)
    for row in rows:
        worker(row)


def test_an_evaluation_edits_scores_and_says_what_was_measured(test_set, tmp_path, monkeypatch):
    monkeypatch.setattr("bulk.evaluate.run", run_here)
    benchmark = Benchmark("MagicBrush, single turn", magicbrush, random_backbones(tmp_path / "networks"))
    cases = benchmark.read(test_set, tmp_path / "cases", None)
    method = Method("lime", WORKFLOW, read_workflow(WORKFLOW))
    text = evaluate(benchmark, cases, [method], tmp_path / "out", 6, Pool(1, 1))
    assert text == (tmp_path / "out" / "report.md").read_text()
    figures = json.loads((tmp_path / "out" / "report.json").read_text())["lime"]
    assert (figures["rows"], figures["scored"]) == (2, 2)
    assert all(figures[name] is not None for name in COLUMNS if name != "clip_t")
    records = list(Store(tmp_path / "out" / "lime" / "scores").records())
    assert figures["iou"] == pytest.approx(np.mean([record["iou"] for record in records]))
    assert "| lime (1), measured | 2/2 |" in text
    assert "lime: CLIP-T was not measured: the benchmark has no row to measure it on." in text


def test_the_report_sets_the_papers_figures_apart_from_measured_ones():
    figures = dict.fromkeys(COLUMNS) | {"l1": 0.05, "workflow": "file", "rows": 3, "scored": 2, "missing": {}}
    lines = report("MagicBrush, single turn", {"mine": figures}).splitlines()
    assert [line for line in lines if line.startswith("| mine (file), measured | 2/3 | 0.05 | –")]
    of_paper = [line for line in lines if "the paper's figure" in line]
    assert len(of_paper) == len(PAPER["MagicBrush, single turn"])
    assert any(line.startswith("| InstructPix2Pix + LIME") and "0.906" in line for line in of_paper)
    assert "The paper's rows were not measured here." in "\n".join(lines)


def test_what_could_not_be_had_is_named_with_its_reason():
    missing = json.dumps({"dino": "no network"})
    scored = [{"error": None, "missing": missing, "l1": 0.2}, {"error": None, "missing": missing, "l1": 0.4}]
    figures = summary([*scored, {"error": "bad picture"}], 4, "file")
    assert (figures["l1"], figures["dino"], figures["scored"]) == (pytest.approx(0.3), None, 2)
    assert "mine: DINO was not measured: no network." in report("PIE-Bench", {"mine": figures})
