"""The evaluation of the demo's DiT: its regions are the pack's, and its tables hold every figure."""

from dataclasses import replace

import pytest
import torch

from benchmarks.report import table
from demo.edits import held_out_scene
from demo.edits_dit import DiTEdit
from demo.evaluate_dit import AUTOENCODER, LEFT, SHARES, UNPASTED, Plan, measure, tables
from demo.witnesses_dit import LAYERS, WITNESSES, Witnesses

SEED = 3000


@pytest.fixture(scope="module")
def scene():
    return held_out_scene(SEED)


@pytest.mark.parametrize("witness", WITNESSES)
def test_a_region_is_what_the_pack_finds_with_that_witness(scene, witness):
    with torch.inference_mode():
        found = Witnesses(scene, SEED, steps=4).region(witness)
        settings = replace(DiTEdit(scene, SEED).lime.ops.RECOMMENDED, witness=witness)
        assert torch.equal(found, DiTEdit(scene, SEED, settings, steps=4).region[0])


def test_layers_are_those_of_the_model(scene):
    with torch.inference_mode():
        witnesses = Witnesses(scene, SEED, steps=4)
        maps = len(witnesses.edits["attention"].probed[0].attention)
        assert maps == len(LAYERS["all"]) == len(LAYERS["double blocks"]) + len(LAYERS["single blocks"])
        alone = {row: witnesses.region("attention", layers) for row, layers in LAYERS.items()}
    assert not torch.equal(alone["layer 1"], alone["layer 6"])


def test_every_figure_stands_in_a_table():
    figures, seconds = measure(SEED, Plan((4,), (1.0,), None))
    assert seconds > 0 and all(0 <= value <= 1 for value in figures.values())
    blocks = tables([figures] * 4, ["recolour", "remove"] * 2)
    assert [block["title"] for block in blocks] == [
        "Edits",
        "Region IoU by witness",
        "IoU of the hottest segment by witness",
        "Region IoU by the recorded step, 4 steps, guidance 1",
        "Region IoU by layers, 4 steps, guidance 1",
        "Share of plain edits that succeed, by kind",
        LEFT,
    ]
    edits, witnesses, hottest, recorded, layers, kinds, left = (block["rows"] for block in blocks)
    assert len(edits) == 1 + 5 and len(witnesses) == len(hottest) == len(WITNESSES) and len(layers) == len(LAYERS)
    assert 1 < len(recorded) <= len(SHARES) and set(next(iter(kinds.values()))) == {"recolour", "remove"}
    kept = edits["4 steps, of the probe 1, guidance 1: one pass"]
    assert kept["outside"]["value"] <= kept["outside before pasting"]["value"]
    floor, plain = edits[AUTOENCODER]["outside"], edits["4 steps, of the probe 1, guidance 1: plain"][UNPASTED]
    share = (kept[UNPASTED]["value"] - floor["value"]) / (plain["value"] - floor["value"])
    assert len(left) == 4 and left["4 steps, of the probe 1, guidance 1: one pass"]["all"]["value"] == pytest.approx(
        share
    )
    assert all(table(block) for block in blocks)
