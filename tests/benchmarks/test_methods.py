"""Ways to edit, on two scenes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.methods import DIFFERENCE, NOISE_MASK, ONE_PASS, PLAIN, TRUE, TWO_PASSES, changes, edit_scene
from benchmarks.quality import CHANGED, PUBLISHED_LIME
from benchmarks.summary import row
from demo.edits import FIRST_SEED, SceneEdit, held_out_scene

SEEDS = (FIRST_SEED, FIRST_SEED + 1)
METHODS = {
    "plain": PLAIN,
    "published": PUBLISHED_LIME,
    "one pass": ONE_PASS,
    "two passes": TWO_PASSES,
    "not pasted": replace(ONE_PASS, paste_back=False),
    "true region": replace(ONE_PASS, region=TRUE),
    "difference": replace(NOISE_MASK, region=DIFFERENCE),
}
PROBE, REST = 4 * 2, 8 * 2  # steps times branches: at image guidance 1 the host leaves out the third


@pytest.fixture(scope="module")
def scenes():
    return [edit_scene(seed, METHODS, show=True) for seed in SEEDS]


def test_every_row_gives_finite_figures(scenes):
    for scene in scenes:
        for name, figures in scene.items():
            known = [value for key, value in figures.items() if key not in ("picture", "mask") and value is not None]
            assert len(known) == (4 if name == "plain" else 5)
            assert all(math.isfinite(value) for value in known)
            assert figures["picture"].shape == (64, 64, 3) and np.isfinite(figures["picture"]).all()


def test_a_row_is_the_edit_of_its_settings(scenes):
    for seed, scene in zip(SEEDS, scenes, strict=True):
        edit = SceneEdit(held_out_scene(seed), seed)
        with torch.inference_mode():
            picture = edit.pasted(edit.from_probe(model=edit.localized(edit.region)), edit.region)[0]
        assert np.array_equal(scene["one pass"]["picture"], picture.numpy())


def test_evaluations_of_the_unet_are_counted_with_those_of_the_probe(scenes):
    counted = {name: figures["unets"] for name, figures in scenes[0].items()}
    assert counted == {
        "plain": PROBE + REST,
        "published": 12 * 3 + 4 * 3,
        "one pass": PROBE + REST,
        "two passes": 2 * PROBE + REST,
        "not pasted": PROBE + REST,
        "true region": PROBE + REST,
        "difference": 2 * PROBE + REST,
    }


def test_the_true_region_is_found_whole(scenes):
    assert all(scene["true region"]["roi_iou"] == 1 for scene in scenes)


def test_what_is_pasted_back_leaves_the_outside_nearer_to_the_source(scenes):
    assert all(scene["one pass"]["outside"] < scene["not pasted"]["outside"] for scene in scenes)


def test_changes_name_every_choice():
    assert changes(ONE_PASS) == []
    assert changes(CHANGED["8 clusters"]) == ["clusters = 8"]
    assert changes(CHANGED["corners aligned, outlines not followed"]) == [
        "align_corners = True",
        "follow_outlines = False",
    ]
    assert changes(replace(TWO_PASSES, region=TRUE)) == ["region = true", "passes = 2"]


def test_a_row_compares_scene_by_scene():
    a, b = np.array([0.0, 1.0, 0.5, 0.2]), np.full(4, np.nan)
    figures = {"roi_iou": b, "outside": a, "inside": a, "success": a, "unets": np.full(4, 24.0)}
    cells = row(figures | {"inside": a + 0.1}, figures)
    assert "roi_iou" not in cells and cells["unets"] == {"value": 24.0}
    assert cells["outside"]["value"] == pytest.approx(a.mean())
    assert cells["outside"]["low"] < a.mean() < cells["outside"]["high"]
    assert cells["differences"]["inside"] == pytest.approx({"value": 0.1, "low": 0.1, "high": 0.1})
    assert cells["differences"]["outside"] == {"value": 0, "low": 0, "high": 0}
