"""Masks and keeping the outside, against plain loops over pixels."""

import pytest
import torch

from lime_ops import keep_outside, mask_values, widen_region


def square(side=16, low=5, high=9):
    mask = torch.zeros(1, side, side)
    mask[:, low:high, low:high] = 1
    return mask


def test_mask_values_are_a_batch_between_0_and_1():
    mask = torch.tensor([[-1.0, 0.25], [1.0, 7.0]])
    assert mask_values(mask).tolist() == [[[0.0, 0.25], [1.0, 1.0]]]
    assert mask_values(mask[None, None]).shape == (1, 2, 2)


@pytest.mark.parametrize("latent", [(8, 8), (5, 7)])
def test_widening_reaches_every_latent_pixel_within_half_a_latent_pixel_of_the_region(latent):
    region = torch.zeros(1, 40, 56)
    region[0, 11:14, 20:31] = 1
    h, w = latent
    halves = torch.zeros(2 * h, 2 * w)
    for i in range(2 * h):
        for j in range(2 * w):
            rows = slice(i * 40 // (2 * h), -(-(i + 1) * 40 // (2 * h)))
            columns = slice(j * 56 // (2 * w), -(-(j + 1) * 56 // (2 * w)))
            halves[i, j] = region[0, rows, columns].max()
    wanted = torch.zeros(h, w)
    for i in range(h):
        for j in range(w):  # its own two half pixels each way, and one more on each side
            wanted[i, j] = halves[max(2 * i - 1, 0) : 2 * i + 3, max(2 * j - 1, 0) : 2 * j + 3].max()
    assert torch.equal(widen_region(region, latent)[0, 0], wanted)


def test_keeps_the_outside_and_blends_where_the_mask_is_soft():
    prediction, source = torch.rand(2, 2, 4, 3, 3)
    inside = torch.rand(1, 1, 3, 3).round(decimals=1)
    inside[..., 0], inside[..., 1] = 0, 1
    got = keep_outside(prediction, source, inside)
    assert torch.equal(got[..., 0], source[..., 0])
    torch.testing.assert_close(got[..., 1], prediction[..., 1])
    torch.testing.assert_close(got, (1 - inside) * source + inside * prediction)
