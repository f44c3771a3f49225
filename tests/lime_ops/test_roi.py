"""Regions: the choice of segments against plain loops, and refinement along known outlines."""

import pytest
import torch

from lime_ops import RECOMMENDED, refine_region, resize_nearest, select_roi, select_segments, working_grid

OUTLINE = RECOMMENDED.outline_variance


def loop_roi(labels, attention, top_k):
    """Sort the pixels of an image by attention, collect the labels of the first, mark every pixel that has one."""
    out = torch.zeros_like(labels, dtype=torch.bool)
    for b in range(labels.shape[0]):
        pixels = [(attention[b, i, j].item(), i, j) for i in range(labels.shape[1]) for j in range(labels.shape[2])]
        hottest = sorted(pixels, reverse=True)[:top_k]
        chosen = {labels[b, i, j].item() for _, i, j in hottest}
        for _, i, j in pixels:
            out[b, i, j] = labels[b, i, j].item() in chosen
    return out


def example(batch=2, size=(6, 9), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 8, (batch, *size), generator=generator), torch.rand(batch, *size, generator=generator)


@pytest.mark.parametrize("top_k", [1, 3, 10, 54, 1000])
def test_is_the_union_of_the_segments_that_own_a_hottest_pixel(top_k):
    labels, attention = example()
    assert torch.equal(select_roi(labels, attention, top_k), loop_roi(labels, attention, top_k))


def test_top_k_above_the_number_of_pixels_means_all():
    labels, attention = example()
    assert select_roi(labels, attention, 10_000).all()


def test_no_chosen_word_gives_an_empty_region():
    labels, attention = example()
    attention[0] = 0
    region = select_roi(labels, attention, 5)
    assert not region[0].any() and region[1].any()


def test_bad_values_are_named():
    labels, attention = example()
    with pytest.raises(ValueError, match=r"labels are \[2, 6, 9\] and attention is \[2, 6, 8\]"):
        select_roi(labels, attention[..., :8], 5)
    with pytest.raises(ValueError, match="top_k is 0: expected at least 1"):
        select_roi(labels, attention, 0)


def loop_segments(labels, attention, threshold):
    """The mean of each segment, then every segment that reaches the threshold's share of the highest."""
    out = torch.zeros_like(labels, dtype=torch.bool)
    for b in range(labels.shape[0]):
        own: dict[int, list[float]] = {}
        for label, heat in zip(labels[b].flatten().tolist(), attention[b].flatten().tolist(), strict=True):
            own.setdefault(label, []).append(heat)
        means = {label: sum(values) / len(values) for label, values in own.items()}
        for label, mean in means.items():
            out[b][labels[b] == label] = mean >= threshold * max(means.values())
    return out


@pytest.mark.parametrize("threshold", [0.1, 0.7, 0.9, 1.0])
def test_segments_that_reach_the_threshold_make_the_region(threshold):
    labels, attention = example()
    attention = attention * (labels + 1)
    assert torch.equal(select_segments(labels, attention, threshold), loop_segments(labels, attention, threshold))


def test_labels_that_nobody_has_and_cold_images_select_nothing():
    labels, attention = example()
    labels, attention[0] = labels * 7, 0
    region = select_segments(labels, attention, 0.6)
    assert not region[0].any() and region[1].any()


@pytest.mark.parametrize("threshold", [0.0, 1.1])
def test_a_threshold_outside_its_range_is_named(threshold):
    with pytest.raises(ValueError, match=f"threshold is {threshold}: expected a value above 0"):
        select_segments(*example(), threshold)


@pytest.mark.parametrize("side", [8, 16, 24, 32, 48, 64, 96, 128, 200])
def test_resizing_takes_the_pixel_at_the_floor_of_the_scaled_index(side):
    region = torch.rand(1, 128, 128) > 0.5
    rows = [int(i * 128 / side) for i in range(side)]
    wanted = torch.stack([torch.stack([region[0, i, j] for j in rows]) for i in rows])
    assert torch.equal(resize_nearest(region, (side, side))[0], wanted)


@pytest.mark.parametrize(("latent", "grid"), [((64, 64), (128, 128)), ((16, 16), (128, 128)), ((64, 96), (105, 157))])
def test_the_working_grid_has_about_128_times_128_pixels_in_the_latents_shape(latent, grid):
    assert working_grid(latent, 128 * 128) == grid


def disc_and_picture():
    """A disc of radius 12, and a picture of it on a shaded ground."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disc = (y - 30) ** 2 + (x - 34) ** 2 <= 12**2
    ground = torch.stack([x, y, x + y], -1) / 256
    return disc, torch.where(disc[..., None], torch.tensor([0.8, 0.2, 0.1]), ground)


def test_a_rough_region_is_refined_to_the_picture_s_outline():
    disc, picture = disc_and_picture()
    coarse = torch.nn.functional.avg_pool2d(disc[None].float(), 4)[0] > 0.5
    rough = coarse.repeat_interleave(4, 0).repeat_interleave(4, 1)

    def iou(region):
        return ((region & disc).sum() / (region | disc).sum()).item()

    refined = refine_region(rough[None], picture[None], 4, OUTLINE)[0]
    assert iou(rough) < 0.9
    assert iou(refined) > 0.95


def test_each_picture_of_a_batch_refines_its_own_region_and_empty_and_full_ones_stay():
    disc, picture = disc_and_picture()
    empty, full = torch.zeros(1, 64, 64, dtype=torch.bool), torch.ones(1, 64, 64, dtype=torch.bool)
    regions = torch.cat([disc[None], empty, full])
    refined = refine_region(regions, picture.expand(3, -1, -1, -1), 4, OUTLINE)
    assert torch.equal(refined[:1], refine_region(disc[None], picture[None], 4, OUTLINE))
    assert torch.equal(refined[1:], regions[1:])


def test_a_region_too_small_to_survive_refinement_stays():
    point = torch.zeros(1, 64, 64, dtype=torch.bool)
    point[0, 20, 20] = True
    assert torch.equal(refine_region(point, torch.full((1, 64, 64, 3), 0.5), 4, OUTLINE), point)


def test_a_picture_or_radius_that_does_not_fit_is_an_error():
    region = torch.zeros(1, 8, 8, dtype=torch.bool)
    with pytest.raises(ValueError, match="expected"):
        refine_region(region, torch.zeros(1, 8, 9, 3), 1, OUTLINE)
    with pytest.raises(ValueError, match="radius is 0"):
        refine_region(region, torch.zeros(1, 8, 8, 3), 0, OUTLINE)
