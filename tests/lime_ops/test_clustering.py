"""fuse_features against plain loops, and segment_features against scikit-learn on what fuse_features gives."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from lime_ops import feature_grams, fuse_features, segment_features
from lime_ops.clustering import GramFeatures, lloyd
from restatements import fused


def structured_maps(batch=1, sizes=((8, 12), (16, 24), (16, 24)), channels=(40, 24, 16), regions=6, noise=0.3, seed=0):
    """Feature maps of a picture with a few regions, each with features of its own, plus noise."""
    generator = torch.Generator().manual_seed(seed)
    layout = torch.nn.functional.interpolate(
        torch.rand(batch, regions, 4, 6, generator=generator), (64, 96), mode="bicubic"
    )
    maps = []
    for size, width in zip(sizes, channels, strict=True):
        owner = torch.nn.functional.interpolate(layout, size, mode="bilinear").argmax(1)
        own = torch.randn(regions, width, generator=generator)
        maps.append(own[owner] + noise * torch.randn(batch, *size, width, generator=generator))
    return maps


@pytest.mark.parametrize("grid", [(16, 24), (7, 5)])
def test_fusing_equals_resizing_each_channel_and_scaling_each_pixel_to_length_1(grid):
    maps = structured_maps(batch=2, sizes=((4, 6), (8, 12)), channels=(5, 3))
    torch.testing.assert_close(
        fuse_features(maps, grid, align_corners=True), torch.from_numpy(fused(maps, grid)).float()
    )


def test_without_align_corners_a_segment_stays_in_its_place():
    quarter = torch.zeros(1, 16, 16, 2)
    quarter[..., 1] = 1
    quarter[:, :4, :4] = torch.tensor([1.0, 0.0])
    for align_corners, side in ((False, 32), (True, 30)):  # of 128, as 4 of 16
        labels = segment_features([quarter], (128, 128), 2, align_corners=align_corners)[0]
        assert (labels[0] == labels[0, 0]).sum() == side


def test_a_pixel_without_features_stays_zero():
    assert not fuse_features([torch.zeros(1, 3, 3, 4)], (5, 5), align_corners=False).any()


@pytest.mark.parametrize("block", [7, 16, 256])
def test_a_gram_matrix_holds_the_products_of_all_pixels_in_all_layers(monkeypatch, block):
    monkeypatch.setattr("lime_ops.clustering.BLOCK", block)
    maps = structured_maps(batch=2, sizes=((4, 6), (4, 6)), channels=(5, 3))
    (gram,) = feature_grams(maps)
    pixels = torch.cat(maps, -1).flatten(1, 2)
    torch.testing.assert_close(gram.products, pixels @ pixels.mT, atol=1e-5, rtol=1e-5)
    assert (gram.size, gram.channels) == ((4, 6), 8)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("grid", [(32, 48), (24, 16)])
@pytest.mark.parametrize("align_corners", [True, False])
def test_same_segments_as_scikit_learn_from_the_same_start(seed, grid, align_corners):
    maps = structured_maps(seed=seed)
    points = fuse_features(maps, grid, align_corners=align_corners)[0].flatten(0, 1).numpy()
    starts = np.random.default_rng(seed).choice(len(points), 8, replace=False)
    wanted = KMeans(8, init=points[starts], n_init=1).fit(points).labels_
    grams = [g._replace(products=g.products[0]) for g in feature_grams(maps)]
    got = lloyd(GramFeatures.of(grams, grid, align_corners), starts.tolist())
    assert np.array_equal(got.flatten().numpy(), wanted)


def test_its_own_start_is_as_good_as_scikit_learns():
    worse = []
    for seed in range(8):
        maps = structured_maps(seed=seed, noise=0.6)
        points = fuse_features(maps, (32, 48), align_corners=False)[0].flatten(0, 1).numpy()
        labels = segment_features(maps, (32, 48), 8, seed, align_corners=False)[0].flatten().numpy()
        inertia = sum(((points[labels == k] - points[labels == k].mean(0)) ** 2).sum() for k in np.unique(labels))
        worse.append(inertia / KMeans(8, n_init=1, random_state=seed).fit(points).inertia_)
    assert np.mean(worse) < 1.02


def test_images_of_a_batch_are_clustered_apart():
    maps = structured_maps(batch=3)
    together = segment_features(maps, (16, 24), 5, seed=4, align_corners=False)
    for i in range(3):
        assert torch.equal(
            together[i], segment_features([m[i : i + 1] for m in maps], (16, 24), 5, seed=4, align_corners=False)[0]
        )


def test_equal_seeds_give_equal_segments():
    maps = structured_maps()
    assert torch.equal(
        segment_features(maps, (32, 48), 8, 3, align_corners=False),
        segment_features(maps, (32, 48), 8, 3, align_corners=False),
    )


def test_constant_features_are_one_segment():
    assert segment_features([torch.ones(2, 4, 4, 8)], (16, 16), 8, align_corners=False).unique().tolist() == [0]


def test_features_that_are_all_zero_are_one_segment():
    assert segment_features([torch.zeros(1, 4, 4, 8)], (16, 16), 8, align_corners=False).unique().tolist() == [0]


def test_more_clusters_than_distinct_features_give_a_segment_for_each():
    features = torch.eye(3)[torch.arange(16) % 3].reshape(1, 4, 4, 3)
    labels = segment_features([features], (4, 4), clusters=8, align_corners=False)
    owner = features[0].argmax(-1).flatten()
    assert len({(a, b) for a, b in zip(labels.flatten().tolist(), owner.tolist(), strict=True)}) == 3


def test_a_single_row_of_pixels_is_clustered():
    assert segment_features([torch.rand(1, 1, 8, 4)], (1, 32), clusters=3, align_corners=False).shape == (1, 1, 32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_maps_are_clustered(dtype):
    maps = structured_maps(noise=0.1)
    single, half = (
        segment_features([m.to(t) for m in maps], (32, 48), 8, align_corners=False) for t in (torch.float32, dtype)
    )
    assert adjusted_rand_score(single.flatten(), half.flatten()) > 0.95


@pytest.mark.parametrize(
    ("maps", "clusters", "message"),
    [
        ([], 8, "maps is empty"),
        (
            [torch.zeros(1, 2, 2, 3), torch.zeros(2, 2, 2, 3)],
            8,
            r"maps\[1\] is \[2, 2, 2, 3\]: expected \[1, h, w, C\]",
        ),
        ([torch.zeros(1, 2, 2, 3)], 0, "clusters is 0: expected at least 1"),
    ],
)
def test_bad_values_are_named(maps, clusters, message):
    with pytest.raises(ValueError, match=message):
        segment_features(maps, (4, 4), clusters, align_corners=False)
