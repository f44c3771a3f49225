"""LIMEAttentionRoI: the segments that the instruction's words attend to."""

from comfy_api.latest import io, ui
from torch import Tensor

from ..lime_ops import average_attention, refine_region, resize_region, select_roi, select_segments, working_grid
from .attention_hooks import carries
from .pictures import draw_heatmap, draw_region
from .sockets import (
    PUBLISHED,
    RECOMMENDED,
    Capture,
    CaptureSocket,
    Segments,
    SegmentsSocket,
    Tokens,
    TokensSocket,
)


class AttentionRoI(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMEAttentionRoI",
            display_name="LIME Attention RoI",
            category="LIME",
            description=(
                "Finds the region the instruction is about: the segments that its words attend to. The mask is an "
                "ordinary ComfyUI mask: grow, feather, paint or replace it."
            ),
            inputs=[
                CaptureSocket.Input("capture", tooltip="From LIME Probe."),
                SegmentsSocket.Input("segments", tooltip="From LIME Feature Cluster, of the same capture."),
                TokensSocket.Input("tokens", tooltip="From the LIME Instruction that was sampled in the probe."),
                io.Combo.Input(
                    "rule",
                    options=[RECOMMENDED, PUBLISHED],
                    default=RECOMMENDED,
                    tooltip="Recommended: segments whose mean attention reaches `threshold`, their outline moved to "
                    "the picture's nearest one. Published: segments that own one of the `top_k` hottest pixels.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.6,
                    min=0.05,
                    max=1.0,
                    step=0.05,
                    tooltip="Recommended rule: the share of the hottest segment's mean attention that a segment must "
                    "have. Higher gives a smaller region; 1 is the hottest segment alone.",
                ),
                io.Int.Input(
                    "top_k",
                    default=100,
                    min=1,
                    max=16384,
                    tooltip="Published rule: how many of the hottest pixels, of about 128 x 128, choose segments. "
                    "Published: 100; its notebook: 1.",
                ),
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="The region, in the picture's size."),
                io.Image.Output(display_name="heatmap", tooltip="How much the words attend to each pixel."),
            ],
        )

    @classmethod
    def execute(
        cls, capture: Capture, segments: Segments, tokens: Tokens, rule: str, threshold: float, top_k: int
    ) -> io.NodeOutput:
        if segments.capture is not capture:
            raise ValueError(
                "segments come from another capture: wire the same LIME Probe into LIME Feature Cluster and "
                "LIME Attention RoI."
            )
        maps = next((a.maps for a in capture.attention if carries(tokens.embedding, {"cross_attn": a.embedding})), None)
        if maps is None:
            raise ValueError(
                f"the probe did not sample the instruction {tokens.instruction!r}: wire tokens and conditioning from "
                "the same LIME Instruction node, and that conditioning into the probe's guider."
            )
        columns, grid = [list(tokens.columns)] * maps[0].shape[0], working_grid(capture.latent_size)
        attention = average_attention(list(maps), columns, grid, capture.align_corners)
        size = tuple(capture.picture.shape[1:3])
        if rule == PUBLISHED:
            region = resize_region(select_roi(segments.labels, attention, top_k), size)
        else:
            region = resize_region(select_segments(segments.labels, attention, threshold), size)
            cell = size[0] / max(f.shape[1] for f in capture.features)  # of the finest map, that segments are cut from
            region = refine_region(region, capture.picture, max(1, round(cell)))
        mask = region.float()
        heatmap = draw_heatmap(attention, capture.picture)
        return io.NodeOutput(mask, heatmap, ui=_both(heatmap, draw_region(mask, capture.picture), cls))


def _both(heatmap: Tensor, region: Tensor, cls: type[io.ComfyNode]) -> dict:
    """Heat map and region side by side in the node's preview."""
    images = (
        ui.PreviewImage(heatmap, cls=cls).as_dict()["images"] + ui.PreviewImage(region, cls=cls).as_dict()["images"]
    )
    return {"images": images}
