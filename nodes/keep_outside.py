"""LIMEKeepOutside: an edit that acts inside a mask only."""

from comfy_api.latest import io
from torch import Tensor

from .hooks.keep_outside import keep_outside_model
from .schema import schema


class KeepOutside(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEKeepOutside",
            display_name="LIME Keep Outside (keep the rest)",
            search_aliases=["keep the rest", "protect", "preserve background", "inpaint"],
            category="LIME",
            description=(
                "Lets the edit act inside the mask only: outside, every prediction is the source picture, to the "
                "latent's pixel. Unlike a noise mask it may join in the middle of sampling, after LIME Probe. Use it "
                "with LIME Attention Regularize Model or alone. The model that comes in is unchanged."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The instruction-editing model, regularised or not."),
                io.Mask.Input("mask", tooltip="The region, from LIME Attention RoI or any other mask node."),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The source picture's latent, from VAE Encode. Not needed where the conditionings carry it "
                    "(InstructPixToPixConditioning).",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Sample with this model.")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, mask: Tensor, latent: dict | None = None) -> io.NodeOutput:
        return io.NodeOutput(keep_outside_model(model, mask, latent["samples"] if latent else None))
