"""LIMEPasteBack: the edit pasted into the photograph it was made from."""

import logging

from comfy_api.latest import io
from torch import Tensor

from ..lime_ops import RECOMMENDED, Crop, mask_values, paste_back
from .schema import advanced, schema
from .sockets import CropSocket


class PasteBack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEPasteBack",
            display_name="LIME Paste Back (composite)",
            search_aliases=["keep the rest", "composite", "stitch", "colour match", "align"],
            category="LIME",
            description=(
                "Pastes the edit into the photograph it was made from, at the photograph's own size. First it undoes "
                "what the editing model did to the whole picture: a shift, a zoom, a tint. Outside the feathered mask "
                "every pixel stays the photograph's own."
            ),
            inputs=[
                io.Image.Input("image", tooltip="The photograph itself, as it was loaded: not its scaled copy."),
                io.Image.Input("edited", tooltip="The edit, from VAE Decode, at the size it was sampled."),
                io.Mask.Input(
                    "mask",
                    tooltip="The region, from LIME Attention RoI or any other mask node, at any size; or the crop's.",
                ),
                CropSocket.Input(
                    "crop",
                    optional=True,
                    tooltip="From LIME Crop Around, when the edit is of that crop: it goes back to its place.",
                ),
                io.Int.Input(
                    "feather",
                    default=RECOMMENDED.feather,
                    min=0,
                    max=128,
                    optional=True,
                    tooltip="Pixels of the edit within which it fades out beyond the mask. 0 cuts at the mask.",
                ),
                advanced(
                    io.Boolean.Input(
                        "align",
                        default=True,
                        optional=True,
                        tooltip="Undo a shift, zoom or warp of the whole picture, estimated outside the mask. Needs "
                        "OpenCV (pip install opencv-python-headless, if no other pack brought it).",
                    )
                ),
                advanced(
                    io.Boolean.Input(
                        "match_colours",
                        default=True,
                        optional=True,
                        tooltip="Undo a tint of the whole picture, fitted outside the mask.",
                    )
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The photograph with the edit inside the mask.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        edited: Tensor,
        mask: Tensor,
        crop: Crop | None = None,
        feather: int = RECOMMENDED.feather,
        align: bool = True,
        match_colours: bool = True,
    ) -> io.NodeOutput:
        pasted, lines = paste_back(image, edited, mask_values(mask), feather, crop, align, match_colours)
        for line in lines:
            logging.info("LIME Paste Back: %s", line)
        return io.NodeOutput(pasted, ui={"text": lines})
