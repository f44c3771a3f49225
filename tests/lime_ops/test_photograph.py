"""The whole way back: shift and tint undone, every image of a batch on its own, and what does not fit is named."""

import pytest
import torch
from pictures import disc_mask, matrix, moved, textured

from lime_ops.compositing import feather
from lime_ops.cropping import crop_around, crop_mask, crop_picture
from lime_ops.photograph import paste_back
from lime_ops.resampling import resize


def drifted(picture, mask, shift=6):
    edited = torch.where(mask[..., None] > 0, 1 - picture, picture)
    return edited, 0.93 * moved(edited, matrix([1, 0, shift], [0, 1, -4], [0, 0, 1])) + 0.04


def test_shift_and_tint_are_undone_inside_and_nothing_changes_outside():
    pytest.importorskip("cv2")
    picture, mask = textured(), disc_mask()
    clean, edit = drifted(picture, mask)
    got, (line,) = paste_back(picture[None], edit[None], mask[None], border=9)
    far = disc_mask(radius=40 + 15) == 0
    assert torch.equal(got[0][far], picture[far])
    inside = disc_mask(radius=37) > 0
    assert (got[0] - clean)[inside].abs().mean() < 0.01
    assert "aligned (shift)" in line and "colours matched" in line


def test_each_image_of_a_batch_has_its_own_drift_and_line():
    pytest.importorskip("cv2")
    picture, mask = textured(), disc_mask()
    edits = torch.stack([drifted(picture, mask, shift)[1] for shift in (6, -3)])
    got, lines = paste_back(picture[None], edits, mask[None])
    for i in range(2):
        alone, (line,) = paste_back(picture[None], edits[i][None], mask[None])
        assert torch.equal(got[i], alone[0]) and lines[i] == line
    assert lines[0] != lines[1]


def test_a_drift_free_edit_comes_back_to_the_bit():
    picture, mask = textured(), disc_mask()
    clean = drifted(picture, mask)[0]
    got, _ = paste_back(picture[None], clean[None], mask[None], border=0)
    assert torch.equal(got[0], clean)


def test_alignment_and_colours_can_be_switched_off():
    picture, mask = textured(), disc_mask()
    edit = drifted(picture, mask)[1]
    got, lines = paste_back(picture[None], edit[None], mask[None], border=0, aligned=False, matched=False)
    assert torch.equal(got[0][mask > 0], edit[mask > 0]) and lines == ["pasted as it came"]


def test_a_crop_goes_back_to_its_place():
    pytest.importorskip("cv2")
    picture, mask = textured(480, 640)[None], disc_mask(480, 640, (300, 200), 30)[None]
    crop = crop_around(mask, (480, 640), pixels=256 * 256)
    small = crop_picture(picture, crop)[0]
    edit = moved(1.0 * small, matrix([1, 0, 5], [0, 1, 2], [0, 0, 1]))[None]
    got, (line,) = paste_back(picture, edit, mask, crop=crop)
    assert "aligned (shift)" in line
    assert (got - picture).abs().max() < 0.06 and (got - picture).abs().mean() < 1e-3
    beside = torch.ones(480, 640, dtype=torch.bool)
    beside[crop.part.top : crop.part.top + crop.part.height, crop.part.left : crop.part.left + crop.part.width] = False
    assert torch.equal(got[0][beside], picture[0][beside])


@pytest.mark.parametrize("side", [256, 512, 768])  # the crop's, its half, another
@pytest.mark.parametrize("at", [(20, 60), (200, 240), (100, 220)])
@pytest.mark.parametrize("grown", [0, 20])
def test_a_mask_is_of_the_photograph_or_of_the_crop_though_both_have_one_size(side, at, grown):
    picture, first, last = torch.zeros(1, side, side, 3), at[0] * side // 256, at[1] * side // 256
    mask = torch.zeros(1, side, side)
    mask[:, first:last, first:last] = 1
    crop = crop_around(mask, (side, side), pixels=256 * 256)
    assert crop.size == (256, 256)
    of_crop = feather(crop_mask(mask, (side, side), crop), grown)
    of_photograph = feather(resize(mask[..., None], (256, 256))[..., 0], grown)
    for edited in (256, 512):  # or scaled before it is pasted
        edit = torch.ones(1, edited, edited, 3)
        for given in (of_crop, of_photograph, mask):
            got, _ = paste_back(picture, edit, given, border=0, crop=crop, aligned=False, matched=False)
            assert (got[mask > 0] > 0.9).float().mean() > 0.9
            far = feather(mask, 24 * side // 256 + 6) == 0
            assert not got[far].any()


@pytest.mark.parametrize("turned", [False, True])
def test_the_crop_around_what_is_long_in_a_panorama_is_not_squeezed_and_goes_back(turned):
    size, mask = (200, 800), torch.zeros(1, 200, 800)
    mask[:, 90:110, 50:750] = 1
    if turned:
        size, mask = (800, 200), mask.mT
    picture = textured(*size)[None]
    crop = crop_around(mask, size, pixels=256 * 256)
    assert crop.part.width / crop.part.height == pytest.approx(crop.size[1] / crop.size[0], rel=0.05)
    assert crop.part.of(mask).sum() == mask.sum()
    got, _ = paste_back(picture, 1 - crop_picture(picture, crop), mask, border=0, crop=crop, matched=False)
    assert torch.equal(got[mask == 0], picture[mask == 0]) and not torch.equal(got, picture)


@pytest.mark.parametrize(
    ("picture", "edit", "mask", "message"),
    [
        ((1, 64, 64, 3), (1, 32, 48, 3), (1, 64, 64), "the edit is 48x32 but what it was made from is 64x64"),
        ((1, 32, 48, 3), (1, 32, 48, 3), (1, 64, 32), "mask is 32x64 but the picture is 48x32"),
        ((2, 32, 48, 3), (3, 32, 48, 3), (1, 32, 48), "image has 2 images but edited has 3"),
    ],
)
def test_what_does_not_fit_is_named(picture, edit, mask, message):
    with pytest.raises(ValueError, match=message):
        paste_back(torch.zeros(picture), torch.zeros(edit), torch.zeros(mask))
