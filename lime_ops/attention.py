"""Where a text's tokens are at work: from queries, keys and outputs of attention; averaged over layers and words."""

import torch
from torch import Tensor

from .grid import resize_bilinear

SCORES = 2**22  # that are held at once


def attention_probabilities(q: Tensor, k: Tensor) -> Tensor:
    """Attention of each pixel to each token, averaged over heads: float32 [B, N, T], rows sum to 1.

    q [B, N, heads, d] and k [B, T, heads, d] are projected; k may have fewer heads, each for as many of q's in turn.
    The mean over heads comes first here and last in the published code (pipeline.py,
    AttentionStore.aggregate_attention); means commute.
    """
    k = k.repeat_interleave(q.shape[2] // k.shape[2], 2) if k.shape[2] < q.shape[2] else k
    # Image by image, and as many heads as fit: memory and caches never see all of a long sequence.
    return torch.cat([_mean_over_heads(*one) for one in zip(q.split(1), k.split(1), strict=True)])


def _mean_over_heads(q: Tensor, k: Tensor) -> Tensor:
    at_once = max(1, SCORES // (q.shape[1] * k.shape[1]))
    total = q.new_zeros((), dtype=torch.float32)
    for some in zip(q.split(at_once, 2), k.split(at_once, 2), strict=True):
        one, other = (t.float().transpose(1, 2) for t in some)
        total = total + (one * one.shape[-1] ** -0.5 @ other.transpose(-1, -2)).softmax(-1).sum(1)
    return total / q.shape[2]


def attention_among_all(q: Tensor, k: Tensor, tokens: slice) -> Tensor:
    """Attention of each pixel to some of the keys among all of them, averaged over heads: float32 [B, N, T].

    q [B, N, heads, d] and k [B, K, heads, d] as in `attention_probabilities`; tokens: T of the K keys. What a row lacks
    to 1 is attention to the other keys, in joint attention the picture's. No more than SCORES are held at once.
    """
    group, at_once = q.shape[2] // k.shape[2], max(1, SCORES // (k.shape[0] * k.shape[1]))
    total = q.new_zeros(*q.shape[:2], tokens.stop - tokens.start, dtype=torch.float32)
    for head in range(q.shape[2]):
        keys = k[:, :, head // group].float().mT
        for some, part in zip(q[:, :, head].split(at_once, 1), total.split(at_once, 1), strict=True):
            part += (some.float() * some.shape[-1] ** -0.5 @ keys).softmax(-1)[..., tokens]
    return total / q.shape[2]


def output_similarity(picture: Tensor, text: Tensor) -> Tensor:
    """How like each token's output of joint attention each pixel's is: float32 [B, N, T], rows sum to 1.

    picture [B, N, heads, d] and text [B, T, heads, d]: outputs, before they are projected. A softmax over the tokens of
    inner products over all heads: ConceptAttention (arXiv 2502.04320), which adds concepts of its own to the text.
    Products are divided by the root of the width, as attention's are: else they would be sharp, and more so in wide
    models.
    """
    picture, text = picture.flatten(2).float(), text.flatten(2).float()
    return (picture * picture.shape[-1] ** -0.5 @ text.mT).softmax(-1)


def average_attention(
    maps: list[Tensor], tokens: list[list[int]], grid: tuple[int, int], *, align_corners: bool
) -> Tensor:
    """How much each pixel of the grid attends to an image's words: float32 [B, *grid], in [0, 1].

    maps: a layer each, [B, h_i, w_i, T], averaged over heads. tokens: for each image, the columns of its words; an
    image without any gets zeros. Layers are resized by `resize_bilinear` and weigh the same (pipeline.py,
    AttentionStore.aggregate_attention; utils.py, locate_points). Words are averaged before resizing, which is linear.

    Raises ValueError when there is no map, shapes disagree or a column does not exist.
    """
    _check(maps, tokens)
    total = torch.zeros(len(tokens), *grid)
    for layer in maps:
        words = torch.stack(
            [one[..., columns].float().mean(-1) if columns else one.new_zeros(one.shape[:2], dtype=torch.float32)
             for one, columns in zip(layer, tokens, strict=True)]
        )  # fmt: skip
        total = total.to(words.device) + resize_bilinear(words[..., None], grid, align_corners)[..., 0]
    return total / len(maps)


def _check(maps: list[Tensor], tokens: list[list[int]]) -> None:
    if not maps:
        raise ValueError("maps is empty: expected a tensor [B, h, w, T] for each recorded layer")
    batch, length = maps[0].shape[0], maps[0].shape[-1]
    for i, layer in enumerate(maps):
        if layer.ndim != 4 or layer.shape[0] != batch or layer.shape[-1] != length:
            raise ValueError(f"maps[{i}] is {list(layer.shape)}: expected [{batch}, h, w, {length}] as maps[0]")
    if len(tokens) != batch:
        raise ValueError(f"tokens has {len(tokens)} lists for {batch} images: expected one for each image")
    for columns in tokens:
        if any(not 0 <= c < length for c in columns):
            raise ValueError(f"tokens names columns {columns}: expected values in 0..{length - 1}")
