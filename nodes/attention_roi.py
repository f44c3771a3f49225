"""LIMEAttentionRoI: the segments that the instruction's words attend to."""

import logging
from dataclasses import replace

from comfy_api.latest import io, ui

from ..lime_ops import PUBLISHED, RECOMMENDED
from .previews import beside, draw_heatmap, draw_region
from .region import locate
from .schema import advanced, schema
from .sockets import Capture, CaptureSocket, Segments, SegmentsSocket, Tokens, TokensSocket


class AttentionRoI(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEAttentionRoI",
            display_name="LIME Attention RoI (mask from text)",
            search_aliases=["mask from text", "find region", "heatmap", "segment by text"],
            category="LIME",
            description=(
                "Finds the region the instruction is about: the segments that its words attend to, or, on Flux, "
                "Qwen-Image and most others, those that the model is about to change. The mask is an ordinary ComfyUI "
                "mask: grow, feather, paint or replace it."
            ),
            inputs=[
                CaptureSocket.Input("capture", tooltip="From LIME Probe."),
                SegmentsSocket.Input("segments", tooltip="From LIME Feature Cluster, of the same capture."),
                TokensSocket.Input("tokens", tooltip="From LIME Words, of the instruction that the probe sampled."),
                io.Float.Input(
                    "threshold",
                    optional=True,
                    default=RECOMMENDED.threshold,
                    min=0.05,
                    max=1.0,
                    step=0.05,
                    tooltip="The share of the hottest segment's mean attention that a segment must have. Higher gives "
                    "a smaller region; 1 is the hottest segment alone. Not used at the published setting.",
                ),
                advanced(
                    io.Int.Input(
                        "top_k",
                        optional=True,
                        default=PUBLISHED.top_k,
                        min=1,
                        max=16384,
                        tooltip="At the published setting alone: how many of the hottest pixels, of about 128 x 128, "
                        "bring in their segments. Published: 100; its notebook: 1.",
                    )
                ),
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="The region, in the picture's size."),
                io.Image.Output(
                    display_name="heatmap", tooltip="How much the words attend to each pixel, or it changes."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        capture: Capture,
        segments: Segments,
        tokens: Tokens,
        threshold: float = RECOMMENDED.threshold,
        top_k: int = PUBLISHED.top_k,
    ) -> io.NodeOutput:
        settings = replace(capture.instruction.settings, threshold=threshold, top_k=top_k)
        region, attention = locate(capture, segments, tokens, settings)
        mask = region.float()
        if not region.flatten(1).any(1).all():
            logging.warning(
                "LIME Attention RoI: no region was found for %r, so the picture will stay as it is. "
                "Lower the threshold, name other words in LIME Words, or draw a mask.",
                tokens.instruction.text,
            )
        heatmap = draw_heatmap(attention, capture.picture)
        shown = beside(heatmap, draw_region(mask, capture.picture))
        return io.NodeOutput(mask, heatmap, ui=ui.PreviewImage(shown, cls=cls))
