"""`python -m benchmarks.speed`: that it runs, what it reports and when it fails."""

import json
import math
import subprocess
import sys

import pytest
import torch

from benchmarks import speed
from benchmarks.published_cost import published_model
from benchmarks.sd15 import Edit, random_model, regions
from benchmarks.steps import ONE, only_cross_attention
from benchmarks.timing import Figure, in_turn, ratios
from demo.host import PACK

SMALL = 32  # channels


def test_a_quick_run_writes_every_figure(tmp_path):
    out = tmp_path / "results" / "speed.json"
    command = [sys.executable, "-m", "benchmarks.speed", "--quick", "--out", str(out)]
    run = subprocess.run(command, cwd=PACK, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    report = json.loads(out.read_text())
    meta = report.pop("meta")
    assert {"processor", "cores", "host", "torch", "date", "command", "attention", "edit_steps"} <= set(meta)
    assert set(report) == set(speed.FIGURES)
    for name, figure in report.items():
        assert set(figure) == {"value", "low", "high", "bound", "rounds"}
        assert figure["bound"] == speed.FIGURES[name][0]
        assert all(math.isfinite(figure[key]) for key in ("value", "low", "high")), name
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["rounds"] >= 1
        assert name in run.stdout


def test_a_figure_is_the_median_between_the_ends_of_its_interval():
    figure = Figure.of([1.0, 5.0, 2.0, 3.0, 4.0], bound=2.5)
    assert (figure.value, figure.rounds, figure.bound) == (3.0, 5, 2.5)
    assert 1.0 <= figure.low < 3.0 < figure.high <= 5.0


def test_the_interval_narrows_with_more_rounds():
    few, many = (Figure.of(torch.randn(n, generator=torch.Generator().manual_seed(0)).tolist()) for n in (5, 500))
    assert many.high - many.low < few.high - few.low


def test_a_negative_cost_is_reported_as_it_is():
    assert Figure.of([-0.25], 1.0)[:3] == (-0.25, -0.25, -0.25)


@pytest.mark.parametrize(("value", "missed"), [(1.0, False), (1.01, True), (math.nan, True)])
def test_a_value_beyond_its_bound_misses_it(value, missed):
    assert Figure.of([value], 1.0).missed is missed


def test_ratios_are_taken_within_a_round():
    assert ratios({"plain": [1.0, 2.0], "other": [2.0, 2.0]}, "other") == [2.0, 1.0]


def test_actions_take_turns():
    order = []
    in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b", "a", "b"]


@pytest.mark.parametrize(("value", "status"), [(1.0, 0), (1.1, 1)])
def test_a_missed_bound_is_named_and_fails_the_command(value, status, monkeypatch, capsys):
    monkeypatch.setattr(speed, "measure", lambda plan, parts, report: report.add({"one_pass": [value]}, "_512px"))
    assert speed.main([]) == status
    assert ("missed: one_pass_512px" in capsys.readouterr().err) == bool(status)


@pytest.fixture(scope="module")
def edit():
    return Edit(random_model(SMALL), 128, steps=3)


def forwards(module, calls):
    return module.register_forward_hook(lambda *_: calls.append(module))


def test_only_cross_attention_computes_when_the_others_replay(edit):
    unet = edit.model.get_model_object("diffusion_model")
    block = unet.input_blocks[1][1].transformer_blocks[0]
    calls = []
    with torch.inference_mode():
        plain = edit.sample(steps=ONE)["samples"]
        with only_cross_attention(edit.model):
            first = edit.sample(steps=ONE)["samples"]
            hooks = [forwards(layer, calls) for layer in (block.attn1.to_q, block.attn2.to_q, block.ff.net[2])]
            replayed = edit.sample(steps=ONE)["samples"]
        assert calls == [block.attn2.to_q]
        after = edit.sample(steps=ONE)["samples"]
    for hook in hooks:
        hook.remove()
    assert torch.equal(first, plain) and torch.equal(replayed, plain) and torch.equal(after, plain)
    assert calls == [block.attn2.to_q, block.attn1.to_q, block.attn2.to_q, block.ff.net[2]]


def test_what_the_pack_does_to_attention_goes_on_while_the_others_replay(edit):
    with torch.inference_mode():
        capture, _ = edit.probe(1)
        with only_cross_attention(edit.model):
            edit.sample(steps=ONE)
            replayed, _ = edit.probe(1)
    assert len(replayed.attention) == len(capture.attention) > 0
    assert all(torch.equal(a, b) for a, b in zip(replayed.attention, capture.attention, strict=True))


def test_an_edit_pastes_what_was_decoded_into_the_region(edit):
    with torch.inference_mode():
        mask = edit.find(edit.probe()[0])
        picture = edit.one_pass()
    outside = edit.host.lime_ops.feather(mask, edit.settings.feather) == 0
    assert bool((mask == 1).any())
    assert torch.equal(picture[mask == 1], edit.decoded[mask == 1])
    assert torch.equal(picture[outside], edit.picture[outside])


def test_the_published_computation_gives_what_the_published_setting_gives(edit):
    edit = Edit(edit.model, 256, steps=3)  # at 128 px no layer is finer than 16 x 16
    square = regions(256)["6_percent"]
    setting = edit.host.lime_ops.PUBLISHED
    regularized = edit.host.regularizer.regularize_model(edit.model, square, edit.tokens, setting)
    with torch.inference_mode():
        plain, ours, full, masked = (
            edit.sample(model, ONE)["samples"]
            for model in (None, regularized, published_model(edit, True, False), published_model(edit, True, True))
        )
    rounding = 1e-5 * plain.abs().max()
    assert (full - plain).abs().max() < rounding
    assert (masked - ours).abs().max() < rounding
    assert (masked - full).abs().max() > 1000 * rounding
