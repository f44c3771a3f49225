"""LIMEFeatureCluster: cuts the picture into segments of like features."""

from dataclasses import replace

from comfy_api.latest import io, ui

from ..lime_ops import PUBLISHED, RECOMMENDED
from .previews import draw_segments
from .region import segment
from .schema import advanced, schema
from .sockets import Capture, CaptureSocket, SegmentsSocket


class FeatureCluster(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEFeatureCluster",
            display_name="LIME Feature Cluster (segments)",
            search_aliases=["segment", "segmentation", "k-means"],
            category="LIME",
            description=(
                "Groups the pixels by the features that LIME Probe recorded (K-means), so that the region follows the "
                "outlines the model itself sees."
            ),
            inputs=[
                CaptureSocket.Input("capture", tooltip="From LIME Probe."),
                io.Int.Input(
                    "clusters",
                    optional=True,
                    default=RECOMMENDED.clusters,
                    min=1,
                    max=64,
                    tooltip="How many kinds of segments. More cut finer: raise it when the region takes in too much. "
                    f"Published: {PUBLISHED.clusters}.",
                ),
                advanced(
                    io.Int.Input(
                        "seed",
                        optional=True,
                        default=0,
                        min=0,
                        max=0xFFFFFFFF,
                        control_after_generate=False,  # else the page changes it after every run
                        tooltip="Seed of the first cluster centres. Another seed can cut differently.",
                    )
                ),
            ],
            outputs=[
                SegmentsSocket.Output(display_name="segments", tooltip="The segment of every pixel."),
                io.Image.Output(display_name="preview", tooltip="The segments in colours over the picture."),
            ],
        )

    @classmethod
    def execute(cls, capture: Capture, clusters: int = RECOMMENDED.clusters, seed: int = 0) -> io.NodeOutput:
        segments = segment(capture, replace(capture.instruction.settings, clusters=clusters), seed)
        preview = draw_segments(segments.labels, capture.picture)
        return io.NodeOutput(segments, preview, ui=ui.PreviewImage(preview, cls=cls))
