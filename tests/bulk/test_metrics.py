"""The papers' metrics: against plain restatements where they are arithmetic, with random networks elsewhere."""

import math

import numpy as np
import pytest
from PIL import Image

from backbones import random_backbones
from bulk.metrics import OUTSIDE, Backbones, Metrics, region_iou

SIDE = 48


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    return Metrics(random_backbones(tmp_path_factory.mktemp("backbones")))


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def mask_of(rows: slice) -> Image.Image:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[rows] = 255
    return Image.fromarray(mask)


def test_distances_to_the_target_are_means_over_pixels_and_channels(metrics):
    edited, target = noise(0), noise(1)
    figures = metrics.against_target(edited, target)
    differences = [
        (int(x) - int(y)) / 255 for x, y in zip(np.asarray(edited).flat, np.asarray(target).flat, strict=True)
    ]
    assert figures["l1"] == pytest.approx(sum(map(abs, differences)) / len(differences), rel=1e-5)
    assert figures["l2"] == pytest.approx(sum(d * d for d in differences) / len(differences), rel=1e-5)
    assert -1 <= figures["clip_i"] < 1 - 1e-6
    assert -1 <= figures["dino"] < 1 - 1e-6
    assert -1 <= metrics.clip_t(edited, "a rusty bicycle") <= 1


def test_a_target_that_is_reached_scores_as_such(metrics):
    figures = metrics.against_target(noise(0), noise(0))
    assert (figures["l1"], figures["l2"]) == (0, 0)
    assert figures["clip_i"] == pytest.approx(1, abs=1e-5)
    assert figures["dino"] == pytest.approx(1, abs=1e-5)


def test_outside_metrics_do_not_see_what_changes_inside(metrics):
    source = noise(0)
    edited, half = np.asarray(source).copy(), slice(0, SIDE // 2)
    edited[half] = 255 - edited[half]
    figures = metrics.outside(Image.fromarray(edited), source, mask_of(half))
    assert figures["psnr"] == math.inf
    assert figures["ssim"] == pytest.approx(1)
    assert figures["lpips"] == pytest.approx(0, abs=1e-6)
    assert figures["structure"] == pytest.approx(0, abs=1e-9)


def test_outside_metrics_see_what_changes_there(metrics):
    source, half = noise(0), slice(0, SIDE // 2)
    edited = np.asarray(source).copy()
    edited[SIDE // 2 :] = edited[SIDE // 2 :] // 2
    figures = metrics.outside(Image.fromarray(edited), source, mask_of(half))
    change = (np.asarray(source, float) - edited) / 255
    assert figures["psnr"] == pytest.approx(-10 * math.log10((change**2).mean()), rel=1e-5)
    assert figures["ssim"] < 1
    assert figures["lpips"] > 0
    assert figures["structure"] > 0
    nothing = metrics.outside(Image.fromarray(edited), source, mask_of(slice(None)))
    assert nothing == dict.fromkeys(OUTSIDE)


def test_region_iou_counts_pixels_at_the_masks_size():
    half, quarter = mask_of(slice(0, SIDE // 2)), mask_of(slice(0, SIDE // 4))
    assert region_iou(quarter, half) == 0.5
    assert region_iou(quarter.resize((12, 12), Image.Resampling.NEAREST), half) == 0.5
    assert region_iou(mask_of(slice(0, 0)), mask_of(slice(0, 0))) == 0


def test_a_network_that_cannot_be_had_leaves_its_metrics_unmeasured(tmp_path):
    nowhere = str(tmp_path)  # holds no network
    metrics = Metrics(Backbones(nowhere, nowhere, nowhere, lpips=False))
    figures = metrics.against_target(noise(0), noise(1)) | metrics.outside(noise(0), noise(1), mask_of(slice(0, 9)))
    assert {name for name, value in figures.items() if value is None} == {"clip_i", "dino", "structure"}
    assert metrics.clip_t(noise(0), "a bicycle") is None
    assert set(metrics.missing) == {"clip_i", "dino", "structure"}
