"""The methods on photographic scenes."""

import numpy as np

from benchmarks.methods import ONE_PASS, edit_scene
from benchmarks.photographs import METHODS, REFERENCE, WANTED, autoencoder, blocks, draw
from demo.edits import FIRST_SEED
from demo.photographs import PHOTO_KINDS, held_out_photo_scene

SEEDS = range(FIRST_SEED, FIRST_SEED + 2)


def test_the_scenes_are_photographic_and_of_all_kinds():
    kinds = [held_out_photo_scene(seed).kind for seed in range(FIRST_SEED, FIRST_SEED + len(PHOTO_KINDS))]
    assert sorted(kinds) == sorted(PHOTO_KINDS)


def test_a_photographic_scene_is_edited_as_a_flat_one():
    one = edit_scene(FIRST_SEED, {"one": ONE_PASS}, True, held_out_photo_scene)["one"]
    assert one["picture"].shape == (64, 64, 3)
    assert np.isfinite(one["outside"]) and 0 <= one["roi_iou"] <= 1


def test_the_tables_compare_with_one_pass_and_go_by_kind():
    some = {name: np.array([0.25, 0.5, 0.75, 1.0]) for name in ("roi_iou", "outside", "inside", "success", "unets")}
    plain = some | {"roi_iou": np.full(4, np.nan)}
    measured = {name: plain if name == "plain" else some for name in METHODS}
    decoded = [{"success": success, "PSNR, dB": 29.0} for success in (1.0, 0.0, 1.0, 1.0)]
    whole, kinds, coded = blocks(measured, ["two", "two", "small", "small"], decoded)
    assert "roi_iou" not in whole["rows"]["plain"] and "differences" not in whole["rows"][REFERENCE]
    assert kinds["rows"][f"RoI IoU, {REFERENCE}"]["two"]["value"] == 0.375
    assert kinds["rows"][WANTED]["two"]["value"] == 0.5
    assert coded["rows"]["the wanted picture"]["PSNR, dB"]["value"] == 29.0


def test_the_autoencoder_shows_the_picture(tmp_path):
    assert 20 < autoencoder(FIRST_SEED)["PSNR, dB"] < 50
    draw(SEEDS, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
