"""`python -m benchmarks.families`: that it runs, what it reports and when it fails."""

import json
import math
import subprocess
import sys

import pytest
import torch

from benchmarks import families
from benchmarks.blocks import MODELS, BlockEdit
from benchmarks.report import section
from benchmarks.steps import ONE, replaying
from demo.host import PACK


def test_a_quick_run_writes_a_table_a_family(tmp_path):
    out = tmp_path / "families.json"
    command = [sys.executable, "-m", "benchmarks.families", "--quick", "--out", str(out)]
    run = subprocess.run(command, cwd=PACK, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    report = json.loads(out.read_text())
    assert [block["title"] for block in report["blocks"]] == list(MODELS)
    for block in report["blocks"]:
        assert set(block["rows"]) == set(families.FIGURES)
        assert all(math.isfinite(row["value"]["value"]) for row in block["rows"].values())
    assert "FLUX.1 Kontext" in section("families", report)


@pytest.mark.parametrize(("value", "status"), [(0.02, 0), (0.2, 1)])
def test_a_missed_bound_is_named_and_fails_the_command(value, status, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(families, "costs", lambda edit, rounds: {"recording": [value, value]})
    monkeypatch.setattr(families, "BlockEdit", lambda name, side, narrow: BlockEdit(name, side, narrow=True))
    arguments = ["--models", "FLUX.1 Kontext", "--side", "256", "--out", str(tmp_path / "families.json")]
    assert families.main(arguments) == status
    assert ("missed: FLUX.1 Kontext: recording" in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize("name", MODELS)
def test_a_replayed_step_has_the_attention_of_a_real_one(name):
    """Of the blocks' sequences at their full number of tokens, and regularising acts in it."""
    edit = BlockEdit(name, 256, narrow=True)
    seen: list[tuple] = []

    def note(function, q, k, *args, **kwargs):
        seen.append((tuple(q.shape), tuple(k.shape)))
        return function(q, k, *args, **kwargs)

    edit.model.model_options["transformer_options"]["optimized_attention_override"] = note
    with torch.inference_mode():
        edit.sample(steps=ONE)
        real = set(seen)
        with replaying(edit.all_but_attention()):
            edit.sample(steps=ONE)
            seen.clear()
            edit.sample(steps=ONE)
        assert seen and set(seen) <= real
        assert len(edit.blocks()) == len(seen)
        plain = edit.sample(steps=ONE)["samples"]
        assert not torch.equal(edit.sample(edit.regularized(families.square(256, 10)), ONE)["samples"], plain)
