"""Pasting: outside the feathered mask the picture itself, inside the edit, at any size; crops and their way back."""

import pytest
import torch

from lime_ops.compositing import bounding_box, feather, paste, shown_part
from lime_ops.cropping import crop_around, crop_picture
from lime_ops.resampling import Box, fitted, resample, stretch


def square(size=(32, 48), at=(8, 16, 16, 32)):
    mask = torch.zeros(1, *size)
    mask[:, at[0] : at[1], at[2] : at[3]] = 1
    return mask


def loop_feather(mask, pixels):
    """The highest value within two thirds of `pixels`, then the mean within one third, picture edges repeated."""
    blur = pixels // 3
    grow = pixels - blur
    height, width = mask.shape

    def near(plane, i, j, away):
        return [
            plane[min(max(y, 0), height - 1), min(max(x, 0), width - 1)].item()
            for y in range(i - away, i + away + 1)
            for x in range(j - away, j + away + 1)
        ]

    def each(plane, away, of):
        return torch.tensor([[of(near(plane, i, j, away)) for j in range(width)] for i in range(height)])

    return each(each(mask, grow, max), blur, lambda values: sum(values) / len(values))


@pytest.mark.parametrize("pixels", [0, 1, 2, 3, 5, 9])
def test_the_feather_is_a_grown_mask_averaged(pixels):
    mask = torch.rand(1, 12, 17) * (torch.rand(1, 12, 17) > 0.8)
    torch.testing.assert_close(feather(mask, pixels)[0], loop_feather(mask[0], pixels))


@pytest.mark.parametrize("pixels", [0, 1, 2, 3, 4, 9, 12, 20])
def test_a_feather_of_n_pixels_reaches_n_pixels(pixels):
    mask = square((1, 101), (0, 1, 50, 51))
    reached = feather(mask, pixels)[0, 0].nonzero()
    assert reached.min() == 50 - pixels and reached.max() == 50 + pixels
    assert feather(mask, pixels)[0, 0, 50] == 1


def test_outside_every_value_is_the_picture_s_and_inside_the_edit_s():
    picture, edit = torch.rand(2, 2, 32, 48, 3)
    before = picture.clone()
    got = paste(picture, edit, square(), border=0)
    inside = square()[0] == 1
    assert torch.equal(got[:, inside], edit[:, inside])
    assert torch.equal(got[:, ~inside], picture[:, ~inside])
    assert torch.equal(picture, before)


@pytest.mark.parametrize("size", [(32, 48), (97, 143), (320, 480)])
def test_nothing_changes_beyond_the_feather_at_any_size_of_the_picture(size):
    picture, edit = torch.rand(1, *size, 3), torch.rand(1, 32, 48, 3)
    mask = resample(square()[..., None], stretch(size, (32, 48)), Box(0, 0, *size), "nearest")[..., 0]
    got = paste(picture, edit, mask, border=4)
    scale = size[0] / 32
    away = round(5 * scale) + 1  # the feather, and one pixel of the edit over which it is interpolated
    far = feather(mask, 3 * away)[0] == 0
    assert torch.equal(got[0][far], picture[0][far])
    assert (got[0][mask[0] == 1] != picture[0][mask[0] == 1]).float().mean() > 0.99


def test_an_edit_that_shows_the_picture_comes_back_as_the_picture_at_four_times_its_size():
    y, x = torch.meshgrid(torch.linspace(0, 3, 128), torch.linspace(0, 4, 192), indexing="ij")
    picture = torch.stack([y.sin(), x.cos(), (x + y).sin()], -1)[None] / 2 + 0.5
    small = torch.nn.functional.interpolate(picture.movedim(-1, 1), (32, 48), mode="area").movedim(1, -1)
    got = paste(picture, small, square((128, 192), (32, 96, 48, 144)), border=2)
    ripple = 0.05 * sum(small.diff(dim=axis).abs().max() for axis in (1, 2))  # of torch's cubic kernel on a slope
    assert (got - picture).abs().max() < ripple < 0.005


def test_a_transform_is_undone():
    picture = torch.rand(1, 40, 60, 3)
    edit = picture.roll((3, -5), (1, 2))  # what was at (x, y) is at (x - 5, y + 3)
    matrix = torch.tensor([[1, 0, -5], [0, 1, 3], [0, 0, 1.0]]).double()
    got = paste(picture, edit, square((40, 60)), matrix[None], border=0)
    torch.testing.assert_close(got, picture, atol=1e-4, rtol=0)


def test_alpha_is_the_picture_s_and_one_channel_pictures_take_the_edit_s_brightness():
    picture, edit = torch.rand(1, 32, 48, 4), torch.rand(1, 32, 48, 3)
    assert torch.equal(paste(picture, edit, square())[..., 3], picture[..., 3])
    got = paste(picture[..., :1], edit, square(), border=0)
    torch.testing.assert_close(got[0, 10, 20], edit[0, 10, 20].mean(-1, keepdim=True))
    got = paste(picture[..., :3], edit[..., :1], square(), border=0)
    torch.testing.assert_close(got[0, 10, 20], edit[0, 10, 20, :1].expand(3))


def test_a_soft_mask_blends_and_nan_in_the_edit_stays_inside():
    picture, edit = torch.rand(2, 1, 32, 48, 3)
    got = paste(picture, edit, square() * 0.25, border=0)
    torch.testing.assert_close(got[0, 10, 20], picture[0, 10, 20].lerp(edit[0, 10, 20], 0.25))
    edit[0, 0] = float("nan")
    assert torch.equal(paste(picture, edit, square(), border=2)[0, 0], picture[0, 0])


def test_one_picture_and_one_mask_serve_a_batch_and_an_empty_mask_changes_nothing():
    picture, edits = torch.rand(1, 32, 48, 3), torch.rand(3, 32, 48, 3)
    got = paste(picture, edits, square())
    for one, edit in zip(got, edits, strict=True):
        assert torch.equal(one, paste(picture, edit[None], square())[0])
    assert torch.equal(paste(picture, edits[:1], square() * 0), picture)


def test_batches_that_disagree_and_a_negative_border_are_named():
    with pytest.raises(ValueError, match="mask has 2 images but picture has 3: expected 1 or as many"):
        paste(torch.rand(3, 8, 8, 3), torch.rand(1, 8, 8, 3), torch.rand(2, 8, 8))
    with pytest.raises(ValueError, match="border is -1: expected 0 or more"):
        paste(torch.rand(1, 8, 8, 3), torch.rand(1, 8, 8, 3), torch.rand(1, 8, 8), border=-1)


def test_strips_do_not_show(monkeypatch):
    picture, edit, mask = torch.rand(1, 120, 90, 3), torch.rand(1, 64, 48, 3), square((120, 90), (20, 90, 10, 70))
    whole = paste(picture, edit, mask)
    monkeypatch.setattr("lime_ops.compositing.STRIP", 500)
    torch.testing.assert_close(paste(picture, edit, mask), whole, atol=1e-6, rtol=0)


def test_a_part_s_edit_lands_on_the_part_and_has_faded_out_before_it_ends():
    picture, part = torch.zeros(1, 64, 96, 3), Box(20, 30, 32, 48)
    got = paste(picture, torch.ones(1, 32, 48, 3), torch.ones(1, 32, 48), border=6, part=part)[0, ..., 0]
    assert got[36, 54] == 1 and got[20, 54] < 0.3 and got[36, 30] < 0.3
    outside = torch.ones(64, 96, dtype=torch.bool)
    outside[20:52, 30:78] = False
    assert not got[outside].any()


def test_a_part_at_the_picture_s_edge_does_not_fade_there():
    got = paste(torch.zeros(1, 64, 96, 3), torch.ones(1, 32, 48, 3), torch.ones(1, 32, 48), part=Box(0, 0, 32, 48))
    assert got[0, 0, 0, 0] == 1 and got[0, 31, 10, 0] < 0.3


def test_what_the_host_cut_off_evenly_is_a_part_and_the_rest_is_scaled():
    assert shown_part((37, 54), (32, 48)) == Box(2, 3, 32, 48)
    assert shown_part((32, 48), (32, 48)) == Box(0, 0, 32, 48)
    assert shown_part((320, 480), (32, 48)) == Box(0, 0, 320, 480)


def test_a_finer_source_is_averaged_before_it_is_sampled():
    fine = torch.zeros(1, 64, 64, 1)
    fine[:, ::2] = 1  # stripes of one pixel, which sampling alone would take for white or black
    source, matrix = fitted(fine, stretch((16, 16), (64, 64)))
    got = resample(source, matrix, Box(0, 0, 16, 16))
    torch.testing.assert_close(got[:, 2:-2], torch.full((1, 12, 16, 1), 0.5), atol=0.02, rtol=0)


def test_the_bounding_box_holds_every_mask_of_the_batch():
    assert bounding_box(torch.cat([square(), square(at=(2, 5, 40, 44))])) == Box(2, 16, 14, 28)
    assert bounding_box(square() * 0) is None


@pytest.mark.parametrize("at", [(0, 5, 0, 7), (400, 440, 300, 380), (590, 600, 700, 800), (0, 600, 0, 800)])
@pytest.mark.parametrize("multiple", [8, 16, 64])
@pytest.mark.parametrize("context", [0.0, 0.5, 3.0])
def test_a_crop_holds_the_mask_within_the_picture_at_a_size_of_the_model(at, multiple, context):
    mask = square((600, 800), at)
    part, size, _ = crop_around(mask, (600, 800), context, 512 * 512, multiple)
    assert part.top >= 0 and part.left >= 0 and part.top + part.height <= 600 and part.left + part.width <= 800
    assert part.of(mask).sum() == mask.sum()
    assert size[0] % multiple == 0 and size[1] % multiple == 0
    assert 0.8 < size[0] * size[1] / 512**2 < 1.25
    assert max(size) / min(size) <= 2


def test_a_crop_has_the_shape_of_its_size_where_the_picture_leaves_room():
    part, size, _ = crop_around(square((2000, 3000), (900, 960, 1400, 1500)), (2000, 3000), multiple=64)
    assert part.width / part.height == pytest.approx(size[1] / size[0], rel=0.02)
    assert part.height >= 60 + 2 * 50 and part.width >= 100 + 2 * 50


def test_a_long_thin_mask_gets_a_crop_within_the_ratio_that_models_take():
    part, size, _ = crop_around(square((3000, 4000), (500, 520, 100, 3900)), (3000, 4000), context=0.1, widest=2.0)
    assert size[1] / size[0] == pytest.approx(2, rel=0.05)
    assert part.width / part.height == pytest.approx(2, rel=0.05) and part.width >= 3800


def test_a_crop_edited_and_pasted_changes_the_picture_inside_the_mask_only():
    picture, mask = torch.rand(1, 300, 400, 3), square((300, 400), (200, 230, 40, 90))
    crop = crop_around(mask, (300, 400), pixels=128 * 128)
    edit = 1 - crop_picture(picture, crop)
    got = paste(picture, edit, crop.part.of(mask), border=3, part=crop.part)
    finer = crop.part.height / crop.size[0]
    far = feather(mask, 3 * round(5 * max(1, finer)))[0] == 0
    assert torch.equal(got[0][far], picture[0][far])
    assert (got - picture)[0][mask[0] == 1].abs().mean() > 0.1


def test_an_empty_mask_and_numbers_out_of_range_are_named():
    with pytest.raises(ValueError, match="mask is empty"):
        crop_around(torch.zeros(1, 8, 8), (8, 8))
    with pytest.raises(ValueError, match="multiple 0"):
        crop_around(square(), (32, 48), multiple=0)
