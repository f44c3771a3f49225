"""change_map and mix_witnesses against plain loops."""

import numpy as np
import pytest
import torch

from lime_ops import change_map, mix_witnesses


def test_is_the_distance_over_channels_by_each_images_largest():
    estimate, source = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    wanted = np.zeros((2, 4, 5))
    for b, y, x in np.ndindex(wanted.shape):
        wanted[b, y, x] = sum((estimate[b, c, y, x] - source[b, c, y, x]).item() ** 2 for c in range(3)) ** 0.5
    wanted /= wanted.max((1, 2), keepdims=True)
    torch.testing.assert_close(change_map(estimate, source), torch.from_numpy(wanted).float())
    torch.testing.assert_close(change_map(estimate[:, :, None], source[:, :, None]), change_map(estimate, source))


def test_an_image_that_does_not_change_gets_zeros():
    source = torch.randn(2, 3, 4, 5)
    estimate = source.clone()
    estimate[1, 0, 2, 2] += 1
    change = change_map(estimate, source)
    assert not change[0].any() and change[1].nonzero().tolist() == [[2, 2]]


def test_other_shapes_are_named():
    with pytest.raises(ValueError, match=r"estimate is \[1, 3, 4, 4\] and source is \[1, 3, 4, 5\]"):
        change_map(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))


def test_a_mixture_is_the_geometric_mean_of_both_by_each_images_largest():
    attention, change = torch.rand(2, 4, 5), torch.rand(2, 4, 5)
    wanted = np.zeros((2, 4, 5))
    for b, y, x in np.ndindex(wanted.shape):
        wanted[b, y, x] = (attention[b, y, x] / attention[b].max() * change[b, y, x] / change[b].max()) ** 0.5
    torch.testing.assert_close(mix_witnesses(attention, change), torch.from_numpy(wanted).float())
    assert not mix_witnesses(torch.zeros(1, 4, 5), change[:1]).any()  # no word was chosen
