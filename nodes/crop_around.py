"""LIMECropAround: what a model shall see of a photograph, at a size that it likes."""

from comfy_api.latest import io, ui
from torch import Tensor

from ..lime_ops import crop_around, crop_mask, crop_picture, mask_on, mask_values, whole_picture
from .schema import advanced, schema
from .sockets import CropSocket


class CropAround(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMECropAround",
            display_name="LIME Crop Around",
            search_aliases=["crop and stitch", "inpaint crop", "scale to megapixels", "high resolution"],
            category="LIME",
            description=(
                "Cuts out what is around a mask, at a size that an editing model likes: something small in a large "
                "photograph is edited at full detail. Without a mask the whole photograph is scaled to such a size. "
                "LIME Paste Back puts the edit back in its place."
            ),
            inputs=[
                io.Image.Input("image", tooltip="The photograph itself, as it was loaded."),
                io.Mask.Input("mask", optional=True, tooltip="What to crop around. Without it: the whole photograph."),
                io.Float.Input(
                    "context",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    optional=True,
                    tooltip="How much to show on each side of the mask, as a share of the mask's longer side.",
                ),
                io.Float.Input(
                    "megapixels",
                    default=1.0,
                    min=0.001,
                    max=16.0,
                    step=0.05,
                    optional=True,
                    tooltip="The size that the model sees, about: 0.25 for SD1.5's kind, 1 for SDXL, FLUX and Qwen.",
                ),
                advanced(
                    io.Int.Input(
                        "multiple",
                        default=16,
                        min=1,
                        max=128,
                        optional=True,
                        tooltip="Both sides of that size are multiples of so many pixels: no model cuts any off.",
                    )
                ),
            ],
            outputs=[
                io.Image.Output(display_name="cropped", tooltip="For the model: VAE Encode and the conditionings."),
                io.Mask.Output(display_name="mask", tooltip="The mask of that crop, at its size; 1 without a mask."),
                CropSocket.Output(display_name="crop", tooltip="For LIME Paste Back."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor | None = None,
        context: float = 0.5,
        megapixels: float = 1.0,
        multiple: int = 16,
    ) -> io.NodeOutput:
        pixels, size = round(megapixels * 1024 * 1024), (image.shape[1], image.shape[2])
        if mask is None:
            crop = whole_picture(size, pixels, multiple)
            inside = image.new_ones(1, *crop.size)
        else:
            mask = mask_on(mask_values(mask), size)  # scaled once for both
            crop = crop_around(mask, size, context, pixels, multiple)
            inside = crop_mask(mask, size, crop)
        cropped = crop_picture(image, crop)
        shown = None if mask is None else ui.PreviewImage(cropped, cls=cls)  # the whole photograph is seen elsewhere
        return io.NodeOutput(cropped, inside, crop, ui=shown)
