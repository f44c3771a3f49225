"""What travels between the nodes: one NamedTuple a socket type.

0.33's cache counts the tensors in tuples, 0.3.75's asks `get_ram_usage`.
"""

from typing import Any, NamedTuple

from comfy_api.latest import io
from torch import Tensor

from ..lime_ops import FeatureGram, Settings

InstructionSocket = io.Custom("LIME_INSTRUCTION")
TokensSocket = io.Custom("LIME_TOKENS")
CaptureSocket = io.Custom("LIME_CAPTURE")
SegmentsSocket = io.Custom("LIME_SEGMENTS")
CropSocket = io.Custom("LIME_CROP")  # lime_ops.Crop, which holds no tensor


def ram_usage(value: Any) -> int:
    """Bytes of all tensors in a value and in the tuples it holds."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(map(ram_usage, value)) if isinstance(value, tuple) else 0


class Instruction(NamedTuple):
    """An encoded instruction and where its words stand on the text axis of attention.

    T counts the columns of the embedding; CLIP has 77 a chunk, chunks one after another.
    """

    text: str  # plain, weight syntax removed
    starts: tuple[int, ...]  # for each token of the text the character it begins at, ascending
    pieces: tuple[str, ...]  # and its spelling in lower case, "embedding:" for a vector of an embedding
    columns: tuple[int, ...]  # and its column
    ends: tuple[int, ...]  # columns of the first token after the text of each chunk: the end token, or the template's
    begins: tuple[int, ...]  # columns of the start token of each chunk, if the text encoder has one
    embedding: Tensor  # [1, T, C]: tells which branch carries this instruction
    settings: Settings  # recommended or published, for all nodes that follow

    def get_ram_usage(self) -> int:
        return ram_usage(tuple(self))


class Tokens(NamedTuple):
    """The words of an instruction that say where the edit is and may act there."""

    instruction: Instruction
    words: tuple[str, ...]  # in order
    locating: tuple[int, ...]  # columns that say where the edit is
    unrelated: Tensor  # bool [T]: the tokens that may not act inside the region

    def get_ram_usage(self) -> int:
        return ram_usage(tuple(self))


class Capture(NamedTuple):
    """What LIMEProbe recorded of one instruction. B images; h x w is the size of the latent."""

    instruction: Instruction
    attention: tuple[Tensor, ...]  # a layer (or mean of like layers) each, float [B, h_i, w_i, T]: probabilities
    grams: tuple[FeatureGram, ...]  # a size each: of the attention outputs of the branch without the instruction
    change: Tensor | None  # float [B, h, w] in [0, 1]: what the early estimate changes; None: attention says where
    latent_size: tuple[int, int]  # (h, w)
    picture: Tensor  # IMAGE [B, H, W, 3] in [0, 1]: the mask takes its size and outlines

    def get_ram_usage(self) -> int:
        return ram_usage(tuple(self))


class Segments(NamedTuple):
    """Which segment each pixel of the working grid belongs to."""

    labels: Tensor  # int64 [B, *grid], 0 <= label < clusters
    capture: Capture  # the segments were cut from

    def get_ram_usage(self) -> int:
        return ram_usage(self.labels)  # the capture is counted where LIMEProbe put it
