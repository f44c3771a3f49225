"""Every number and choice of the method: what this pack recommends, and what the published code does.

Published values are of enisimsar/LIME, commit e30ccca; "notebook" is its notebook. Recommended values were chosen on
tuning scenes (seeds below 10,000) with the demo model; `python -m benchmarks.tune NAME` repeats the sweep NAME.
"""

from dataclasses import dataclass
from typing import Literal

SCHEDULE = 30  # steps of the published schedule, in which probes are counted
Witness = Literal[  # of where the edit is
    "attention",  # of the picture to the words, among the text's tokens
    "joint attention",  # the same among all tokens, text's and picture's
    "outputs",  # of joint attention: the words' compared with the picture's
    "estimate",  # of the clean picture, early, compared with the source
    "mixture",  # of "attention" and "estimate"
]


Silenced = Literal[  # inside the region; the rest may act
    "start and other words",  # than the chosen ones
    "start, other words and padding",
    "start, stop words and padding",
]


@dataclass(frozen=True)
class Settings:
    """One way to find a region and to keep an edit in it. Where a comment says nothing else, sizes count pixels."""

    # --- words: who locates, and who may act inside the region (lime_ops.tokens)
    pieces_locate: bool  # each of the tokenizer's pieces that names something, and the end token; else whole words
    silenced: Silenced

    # --- record
    steps: int  # of the probe, of a schedule of 30
    mean_share: float  # of the probe's steps, the last ones, over which maps are averaged; 0: the last step alone
    min_recorded_pixels: int  # of a layer, beside a quarter of the latent each way
    max_recorded_pixels: int  # of a layer, exclusive
    witness: Witness | None  # None: as the family says
    layers_apart: bool  # a map each for a transformer's layers, which takes so many times the memory; else their mean

    # --- segments and region
    grid_pixels: int  # of the working grid that maps and segments are laid on
    align_corners: bool  # how maps are stretched over the grid, see lime_ops.grid.resize_bilinear
    clusters: int
    by_mean_attention: bool  # segments by their mean attention (`threshold`), else by their hottest pixels (`top_k`)
    threshold: float  # share of the hottest segment's mean attention that a segment must have
    top_k: int  # hottest pixels of the grid, each of which brings in its segment
    follow_outlines: bool  # move the region's outline to the picture's nearest one
    outline_variance: float  # of colours in [0, 1], above which they count as an outline

    # --- regularising
    strength: float  # s: at a region's pixel of mask M unrelated tokens get the paper's penalty alpha = -log(1 - s M)
    start_percent: float  # of the sampling, as the host counts: 0 is pure noise
    end_percent: float
    instruction_only: bool  # regularise the instruction's branch alone, not all branches
    layers_by_share: bool  # layers finer than a quarter of the latent each way, else finer than 16 x 16
    cover_touched_pixels: bool  # a layer's pixel is inside if the region touches it, else by its nearest mask pixel

    # --- the picture
    feather: int  # pixels of the edit beyond the mask, in which it fades out when it is pasted

    def probe_steps(self, scheduled: int) -> int:
        """`steps`, which are of a schedule of 30, as the same share of one of `scheduled` steps."""
        return max(1, round(self.steps * scheduled / SCHEDULE))

    @property
    def padding_acts(self) -> bool:
        return self.silenced == "start and other words"


RECOMMENDED = Settings(
    pieces_locate=False,  # regions overlap the true ones better; and whole words are what a user can see and change
    silenced="start and other words",  # padding has read the sentence: the edit needs it (benchmarks.tokens)
    steps=11,  # as published
    mean_share=0.0,  # as published: neutral on the demo scenes
    min_recorded_pixels=8 * 8,  # smaller layers outline nothing, and their many channels would outvote the rest
    max_recorded_pixels=64 * 64,  # as published
    witness=None,  # the UNets' attention; the estimate elsewhere, as `demo.evaluate_dit` found
    layers_apart=False,
    grid_pixels=128 * 128,  # as published
    align_corners=False,  # every pixel stays in its place; regions are as good once outlines are followed
    clusters=16,  # sweep `clusters`
    by_mean_attention=True,  # one hot pixel at the edge of the background does not bring in the background
    threshold=0.6,  # sweep `threshold`
    top_k=100,  # as published; not used
    follow_outlines=True,
    outline_variance=1e-3,  # sweep `outline`
    strength=0.9,  # sweep `strength`
    start_percent=0.0,
    end_percent=0.9,  # as published
    instruction_only=True,  # all branches lose what guidance has over the others (benchmarks.tokens)
    layers_by_share=True,  # the same at 512 px, and right at others
    cover_touched_pixels=True,  # loses nothing of a region that is thin in a coarse layer
    feather=9,  # about a latent pixel; sweep `feather`
)

PUBLISHED = Settings(
    pieces_locate=True,  # utils.py, locate_points
    silenced="start, stop words and padding",  # utils.py, get_effective_tokens
    steps=11,  # notebook: steps 0 to 10 of 30
    mean_share=0.0,  # pipeline.py, AttentionStore: the last recorded step; the paper's steps 30 to 50 of 100 are 0.4
    min_recorded_pixels=1,  # pipeline.py, attn_res: a quarter of the latent each way, whatever its size
    max_recorded_pixels=64 * 64,  # pipeline.py, 64 ** 2
    witness="attention",
    layers_apart=False,
    grid_pixels=128 * 128,  # utils.py and notebook, out_res = 128
    align_corners=True,  # pipeline.py, AttentionStore.aggregate_attention
    clusters=8,  # utils.py, get_segmentation_map
    by_mean_attention=False,  # utils.py, extract_binary_mask
    threshold=0.6,  # not used
    top_k=100,  # pipeline.py's default and the paper's; notebook: 1
    follow_outlines=False,
    outline_variance=1e-3,  # not used
    strength=1.0,  # pipeline.py, AttentionProcessor: -finfo.max
    start_percent=0.0,  # notebook: steps 0 to 26 of 30; the paper's 1 to 75 of 100 end at 0.75
    end_percent=0.9,
    instruction_only=False,  # pipeline.py, AttentionProcessor: all three branches
    layers_by_share=False,  # pipeline.py, AttentionProcessor: `res > 16`
    cover_touched_pixels=False,  # pipeline.py, AttentionProcessor: OpenCV's nearest
    feather=9,  # nothing is pasted there
)
