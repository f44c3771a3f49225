"""Tints: known ones are taken back, and nothing is done where too little is known."""

import pytest
import torch
from pictures import disc_mask, matrix, moved, textured

from lime_ops.colour import match_colours


def tinted(picture, gamma=1.0):
    gain, offset = torch.tensor([0.92, 1.05, 1.0]), torch.tensor([0.03, -0.04, 0.05])
    return picture**gamma * gain + offset


def with_object(picture, mask):
    return torch.where(mask[..., None] > 0, torch.tensor([0.7, 0.3, 0.4]), picture)


@pytest.mark.parametrize("gamma", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_gain_offset_and_gamma_are_taken_back_in_the_object_too(gamma, noise):
    picture, mask = textured(), disc_mask()
    clean = with_object(picture, mask)
    edit = tinted(clean, gamma)
    seen = (edit + noise * torch.randn(edit.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    found = match_colours(picture, seen, mask)
    assert (edit - clean).abs().mean() > 0.02
    assert (found.apply(edit) - clean).abs().mean() < 0.005
    assert "colours matched" in found.summary


def test_a_transform_is_followed():
    picture, mask = textured(), disc_mask()
    shift = matrix([1, 0, 12], [0, 1, -9], [0, 0, 1])
    edit = tinted(moved(with_object(picture, mask), shift))
    recoloured = match_colours(picture, edit, mask, shift).apply(edit)
    clean = moved(with_object(picture, mask), shift)
    assert (recoloured - clean).abs().mean() < 0.005


def test_colours_that_the_mask_s_inside_changes_do_not_count():
    picture, mask = textured(), disc_mask(radius=80)
    edit = tinted(torch.where(mask[..., None] > 0, torch.tensor([0.05, 0.9, 0.1]), picture))
    outside = mask == 0
    found = match_colours(picture, edit, mask)
    assert (found.apply(edit) - picture)[outside].abs().mean() < 0.005


def test_what_was_cut_off_at_white_comes_back_as_what_it_mostly_was():
    picture, mask = textured(), disc_mask()
    picture[:, 200:] = 0.97  # a sky
    edit = (1.08 * picture + 0.05).clamp(0, 1)
    recoloured = match_colours(picture, edit, mask).apply(edit)
    assert (recoloured - picture)[:, 200:].abs().max() < 0.01


def test_one_tinted_channel_leaves_the_others_to_the_bit():
    picture, mask = textured(), disc_mask()
    edit = picture.clone()
    edit[..., 2] = edit[..., 2] * 0.9
    recoloured = match_colours(picture, edit, mask).apply(edit)
    torch.testing.assert_close(recoloured[..., :2], edit[..., :2], atol=1e-6, rtol=0)
    assert (recoloured - picture)[..., 2].abs().mean() < 0.003


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_an_edit_without_a_tint_is_returned_itself(noise):
    picture, mask = textured(), disc_mask()
    edit = with_object(picture, mask)
    edit = (edit + noise * torch.randn(edit.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    found = match_colours(picture, edit, mask)
    assert found.curves is None and found.apply(edit) is edit
    assert found.summary.startswith("colours kept")


def test_where_most_of_the_picture_is_inside_nothing_is_done():
    picture, mask = textured(), 1 - disc_mask()
    found = match_colours(picture, tinted(picture), mask)
    assert found.curves is None and "most of the picture is inside the mask" in found.summary


def test_a_fit_that_gives_up_leaves_the_offset(monkeypatch):
    from sklearn.linear_model import HuberRegressor

    def gives_up(*_args):
        raise ValueError("HuberRegressor convergence failed: l-BFGS-b solver terminated with ABNORMAL: ")

    picture, mask = textured(), disc_mask()
    edit = with_object(picture, mask) * 0.9 + 0.08
    monkeypatch.setattr(HuberRegressor, "fit", gives_up)
    found = match_colours(picture, edit, mask)
    assert "colours matched" in found.summary
    assert (found.apply(edit) - with_object(picture, mask)).abs().mean() < (
        edit - with_object(picture, mask)
    ).abs().mean()


def test_alpha_stays_and_one_channel_works():
    picture, mask = textured(), disc_mask()
    edit = torch.cat([tinted(picture), torch.rand(240, 320, 1)], -1)
    assert torch.equal(match_colours(picture, edit, mask).apply(edit)[..., 3], edit[..., 3])
    grey = picture[..., :1]
    found = match_colours(grey, grey * 0.9, mask)
    assert (found.apply(grey * 0.9) - grey).abs().mean() < 0.003
