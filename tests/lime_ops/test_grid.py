"""Resizing to a layer's or the picture's grid."""

import pytest
import torch

from lime_ops import max_pool_region, resize_bilinear, resize_nearest
from restatements import bilinear


@pytest.mark.parametrize("grid", [(8, 8), (5, 9), (3, 2)])
def test_bilinear_with_corners_aligned_is_the_plain_loop(grid):
    plane = torch.rand(4, 6, generator=torch.Generator().manual_seed(0))
    got = resize_bilinear(plane[None, :, :, None], grid, align_corners=True)[0, ..., 0]
    torch.testing.assert_close(got, torch.from_numpy(bilinear(plane.numpy(), grid)).float())


def test_without_corners_aligned_everything_stays_in_its_place():
    ramp = (torch.arange(8.0) + 0.5)[None, None, :, None].expand(1, 8, 8, 1)  # each pixel's centre
    doubled = resize_bilinear(ramp, (16, 16), align_corners=False)[0, 0, :, 0]
    torch.testing.assert_close(doubled[1:-1], (torch.arange(16.0)[1:-1] + 0.5) / 2)


def test_a_lone_pixel_is_lost_between_nearest_pixels_and_kept_by_pooling():
    region = torch.zeros(1, 16, 16, dtype=torch.bool)
    region[0, 5, 7] = True
    assert not resize_nearest(region, (4, 4)).any()
    assert max_pool_region(region, (4, 4)).nonzero().tolist() == [[0, 1, 1]]
