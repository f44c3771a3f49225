"""What is recorded of attention, and average_attention, against plain loops."""

import numpy as np
import pytest
import torch

from lime_ops import attention_among_all, attention_probabilities, average_attention, output_similarity
from restatements import bilinear


def random_maps(batch=2, sizes=((4, 6), (8, 12)), tokens=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(batch, *size, tokens, generator=generator).softmax(-1) for size in sizes]


def loop_average(maps, tokens, grid):
    """Every layer resized token by token, then a mean over layers and words."""
    out = np.zeros((len(tokens), *grid))
    for image, columns in enumerate(tokens):
        planes = [bilinear(layer[image, ..., c].numpy(), grid) for layer in maps for c in columns]
        if planes:
            out[image] = np.mean(planes, axis=0)
    return torch.from_numpy(out).float()


@pytest.mark.parametrize("grid", [(16, 24), (5, 9), (4, 6)])
def test_equals_resizing_every_layer_and_token_and_then_averaging(grid):
    maps, tokens = random_maps(), [[1, 4], [2]]
    torch.testing.assert_close(
        average_attention(maps, tokens, grid, align_corners=True), loop_average(maps, tokens, grid)
    )


def test_an_image_without_a_chosen_word_gets_zeros():
    heat = average_attention(random_maps(), [[], [3]], (8, 8), align_corners=True)
    assert not heat[0].any() and heat[1].all()


def test_half_precision_is_averaged_in_single():
    maps, tokens = random_maps(), [[1], [2]]
    got = average_attention([m.half() for m in maps], tokens, (8, 8), align_corners=True)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, average_attention(maps, tokens, (8, 8), align_corners=True), atol=1e-3, rtol=0)


def test_probabilities_are_the_mean_over_heads_of_softmax(monkeypatch):
    q, k = torch.randn(2, 6, 12), torch.randn(2, 5, 12)
    wanted = np.zeros((2, 6, 5))
    for b in range(2):
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            for n in range(6):
                scores = np.exp((k[b, :, part].numpy() @ q[b, n, part].numpy()) / 2.0)
                wanted[b, n] += scores / scores.sum() / 3
    q, k, wanted = q.unflatten(-1, (3, 4)), k.unflatten(-1, (3, 4)), torch.from_numpy(wanted).float()
    torch.testing.assert_close(attention_probabilities(q, k), wanted)
    monkeypatch.setattr("lime_ops.attention.SCORES", 1)  # a head at a time
    torch.testing.assert_close(attention_probabilities(q, k), wanted)


def test_keys_with_fewer_heads_serve_neighbouring_heads_of_the_queries():
    q, k = torch.randn(2, 6, 4, 3), torch.randn(2, 5, 2, 3)
    torch.testing.assert_close(attention_probabilities(q, k), attention_probabilities(q, k[:, :, [0, 0, 1, 1]]))


@pytest.mark.parametrize("scores", [1, 20, 2**22], ids=["a query at a time", "a few", "all"])
@pytest.mark.parametrize("key_heads", [4, 2])
def test_among_all_keys_it_is_the_softmax_over_all_of_which_some_columns_are_kept(monkeypatch, key_heads, scores):
    monkeypatch.setattr("lime_ops.attention.SCORES", scores)
    q, k = torch.randn(2, 6, 4, 3), torch.randn(2, 9, key_heads, 3)
    every = attention_probabilities(q, k)
    torch.testing.assert_close(attention_among_all(q, k, slice(0, 5)), every[..., :5])
    torch.testing.assert_close(attention_among_all(q, k, slice(2, 4)), every[..., 2:4])


def test_similarity_of_outputs_is_the_softmax_of_inner_products_over_all_heads():
    picture, text = torch.randn(2, 6, 4, 3), torch.randn(2, 5, 4, 3)
    wanted = np.zeros((2, 6, 5))
    for b in range(2):
        for n in range(6):
            products = [sum((picture[b, n, h] @ text[b, t, h]).item() / 12**0.5 for h in range(4)) for t in range(5)]
            wanted[b, n] = np.exp(products) / np.exp(products).sum()
    torch.testing.assert_close(output_similarity(picture, text), torch.from_numpy(wanted).float())


@pytest.mark.parametrize(
    ("maps", "tokens", "message"),
    [
        ([], [[1]], "maps is empty"),
        (
            [torch.zeros(1, 2, 2, 5), torch.zeros(1, 2, 2, 6)],
            [[1]],
            r"maps\[1\] is \[1, 2, 2, 6\]: expected \[1, h, w, 5\]",
        ),
        ([torch.zeros(2, 2, 2, 5)], [[1]], "tokens has 1 lists for 2 images"),
        ([torch.zeros(1, 2, 2, 5)], [[5]], r"columns \[5\]: expected values in 0..4"),
    ],
)
def test_bad_values_are_named(maps, tokens, message):
    with pytest.raises(ValueError, match=message):
        average_attention(maps, tokens, (4, 4), align_corners=True)
