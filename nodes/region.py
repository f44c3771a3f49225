"""From what was recorded to a region: the sockets' side of lime_ops."""

from torch import Tensor

from ..lime_ops import (
    Settings,
    average_attention,
    find_region,
    mix_witnesses,
    resize_bilinear,
    segment_grams,
    working_grid,
)
from .hooks.conditionings import carries_text
from .sockets import Capture, Segments, Tokens


def segment(capture: Capture, settings: Settings, seed: int) -> Segments:
    """`settings.clusters` segments of like features."""
    grid = working_grid(capture.latent_size, settings.grid_pixels)
    labels = segment_grams(capture.grams, grid, settings.clusters, seed, align_corners=settings.align_corners)
    return Segments(labels, capture)


def locate(capture: Capture, segments: Segments, tokens: Tokens, settings: Settings) -> tuple[Tensor, Tensor]:
    """(the region in the picture's size, bool [B, H, W]; what says where, on the working grid, float [B, h, w]).

    Raises ValueError when segments or tokens are not of this capture.
    """
    if not _same_features(segments.capture, capture):
        raise ValueError(
            "segments come from another capture: wire the same LIME Probe into LIME Feature Cluster and "
            "LIME Attention RoI."
        )
    check_same_instruction(capture, tokens)
    grid = (segments.labels.shape[1], segments.labels.shape[2])
    heat = _heat(capture, tokens, grid, settings)
    map_pixel = capture.picture.shape[1] / max(gram.size[0] for gram in capture.grams)
    return find_region(segments.labels, heat, capture.picture, map_pixel, settings), heat


def _same_features(one: Capture, other: Capture) -> bool:
    """Also of a probe that ran twice: a cache may have dropped one of two nodes that were given its capture."""
    return one is other or (
        len(one.grams) == len(other.grams)
        and all(a.products.equal(b.products) for a, b in zip(one.grams, other.grams, strict=True))
    )


def _heat(capture: Capture, tokens: Tokens, grid: tuple[int, int], settings: Settings) -> Tensor:
    """What says where the edit is, on the grid: the words' attention, the early estimate's change, or both."""
    if capture.change is None:
        return _attention(capture, tokens, grid, settings)
    change = resize_bilinear(capture.change[..., None], grid, settings.align_corners)[..., 0]
    if settings.witness != "mixture":
        return change
    return mix_witnesses(_attention(capture, tokens, grid, settings), change)


def _attention(capture: Capture, tokens: Tokens, grid: tuple[int, int], settings: Settings) -> Tensor:
    columns = [list(tokens.locating)] * len(capture.attention[0])
    return average_attention(list(capture.attention), columns, grid, align_corners=settings.align_corners)


def check_same_instruction(capture: Capture, tokens: Tokens) -> None:
    """Raises ValueError unless the tokens are of the instruction that the probe sampled, at the same setting."""
    probed, words = capture.instruction, tokens.instruction
    if not carries_text({"cross_attn": probed.embedding}, words.embedding):
        raise ValueError(
            f"the probe did not sample the instruction {words.text!r}: wire LIME Words and LIME Probe to the same "
            "LIME Instruction node, and its conditioning into the probe's guider."
        )
    if probed.settings != words.settings:
        raise ValueError(
            "tokens and capture are of different settings, one recommended and one published: wire LIME Words and "
            "LIME Probe to the same LIME Instruction node."
        )
