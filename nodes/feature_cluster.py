"""LIMEFeatureCluster: cuts the picture into segments of like features."""

from comfy_api.latest import io, ui

from ..lime_ops import segment_features, working_grid
from .pictures import draw_segments
from .sockets import Capture, CaptureSocket, Segments, SegmentsSocket


class FeatureCluster(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMEFeatureCluster",
            display_name="LIME Feature Cluster",
            category="LIME",
            description=(
                "Groups the pixels by the features that LIME Probe recorded (K-means), so that the region follows the "
                "outlines the model itself sees."
            ),
            inputs=[
                CaptureSocket.Input("capture", tooltip="From LIME Probe."),
                io.Int.Input(
                    "clusters",
                    default=16,
                    min=1,
                    max=64,
                    tooltip="How many kinds of segments. More cut finer: raise it when the region takes in too much. "
                    "Published: 8.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=False,  # else the page changes it after every run
                    tooltip="Seed of the first cluster centres. Another seed can cut differently.",
                ),
            ],
            outputs=[
                SegmentsSocket.Output(display_name="segments", tooltip="The segment of every pixel."),
                io.Image.Output(display_name="preview", tooltip="The segments in colours over the picture."),
            ],
        )

    @classmethod
    def execute(cls, capture: Capture, clusters: int, seed: int) -> io.NodeOutput:
        grid = working_grid(capture.latent_size)
        labels = segment_features(list(capture.features), grid, clusters, seed, capture.align_corners)
        preview = draw_segments(labels, capture.picture)
        return io.NodeOutput(Segments(labels, capture), preview, ui=ui.PreviewImage(preview, cls=cls))
