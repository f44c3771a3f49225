"""LIMEPasteBack: the edit pasted into the picture it was made from."""

from comfy_api.latest import io
from torch import Tensor

from ..lime_ops import RECOMMENDED, mask_values, paste_back

CROP = 8  # pixels: InstructPixToPixConditioning cuts less than this off each direction, evenly


class PasteBack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMEPasteBack",
            display_name="LIME Paste Back",
            category="LIME",
            description=(
                "Pastes the edit into the original picture, inside the mask, so that the rest keeps its very pixels: "
                "what the autoencoder blurs there comes back. Puts an edit that was cropped to whole latent pixels "
                "where it belongs."
            ),
            inputs=[
                io.Image.Input("image", tooltip="The original picture, as it went into the edit."),
                io.Image.Input("edited", tooltip="The edit, from VAE Decode."),
                io.Mask.Input("mask", tooltip="The region, from LIME Attention RoI or any other mask node."),
                io.Int.Input(
                    "feather",
                    default=RECOMMENDED.feather,
                    min=0,
                    max=128,
                    tooltip="Within how many pixels beyond the mask the edit fades into the picture. A "
                    "latent pixel is 8; 0 cuts at the mask.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The original with the edit inside the mask.")],
        )

    @classmethod
    def execute(cls, image: Tensor, edited: Tensor, mask: Tensor, feather: int) -> io.NodeOutput:
        mask = mask_values(mask)
        height, width = edited.shape[1:3]
        rest = (image.shape[1] - height, image.shape[2] - width)
        if any(not 0 <= r < CROP for r in rest):
            raise ValueError(
                f"edited is {width}x{height} but image is {image.shape[2]}x{image.shape[1]} (width x height): expected "
                f"the picture that the edit was made from, less than {CROP} pixels larger. Scale it as for the edit."
            )
        if mask.shape[1:] not in (image.shape[1:3], edited.shape[1:3]):
            raise ValueError(
                f"mask is {mask.shape[2]}x{mask.shape[1]} but image is {image.shape[2]}x{image.shape[1]} (width x "
                "height): expected a mask of that picture."
            )
        for name, batch in (("image", image.shape[0]), ("mask", mask.shape[0])):
            if batch not in (1, edited.shape[0]):
                raise ValueError(f"{name} has {batch} images but edited has {edited.shape[0]}: expected 1 or as many.")
        return io.NodeOutput(paste_back(image, edited, mask, feather))
