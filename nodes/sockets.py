"""What travels between the nodes: one frozen dataclass a socket type."""

from dataclasses import dataclass

from comfy_api.latest import io
from torch import Tensor

# The choice that several nodes offer: what this pack found best, or what the published code does.
RECOMMENDED, PUBLISHED = "recommended", "published"


def mask_values(mask: Tensor) -> Tensor:
    """A MASK, [H, W] or [B, H, W], as float [B, H, W] in [0, 1]."""
    return mask.reshape(-1, *mask.shape[-2:]).float().clamp(0, 1)


TokensSocket = io.Custom("LIME_TOKENS")
CaptureSocket = io.Custom("LIME_CAPTURE")
SegmentsSocket = io.Custom("LIME_SEGMENTS")


@dataclass(frozen=True, eq=False)
class Tokens:
    """The words of an instruction, as columns of the cross-attention's text axis.

    T counts the columns of the instruction's embedding: 77 a chunk, chunks one after another.
    """

    instruction: str  # plain text, weight syntax removed
    words: tuple[str, ...]  # the words to edit, in order
    columns: tuple[int, ...]  # of those words; they say where the edit is
    unrelated: Tensor  # bool [T]: the tokens that may not speak inside the region
    embedding: Tensor  # [1, T, C]: tells which branch carries this instruction


@dataclass(frozen=True, eq=False)
class InstructionAttention:
    """Cross-attention of one instruction, averaged over heads, an entry a recorded layer."""

    embedding: Tensor  # [1, T, C], as in Tokens
    maps: tuple[Tensor, ...]  # each float [B, h_i, w_i, T], probabilities


@dataclass(frozen=True, eq=False)
class Capture:
    """What Probe recorded. B images; h x w is the size of the latent."""

    attention: tuple[InstructionAttention, ...]  # one for each text of the positive conditioning
    features: tuple[Tensor, ...]  # each float [B, h_i, w_i, C_i]: attention outputs of the image-only branch
    latent_size: tuple[int, int]  # (h, w)
    picture: Tensor  # IMAGE [B, H, W, 3] in [0, 1]: the mask takes its size and outlines
    align_corners: bool  # how the maps lie over the picture, as in lime_ops.grid.resize_map


@dataclass(frozen=True, eq=False)
class Segments:
    """Which segment each pixel of the working grid belongs to."""

    labels: Tensor  # int64 [B, *grid], 0 <= label < clusters
    capture: Capture  # the segments were cut from
