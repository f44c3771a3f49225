"""LIMEDemoModel: the small instruction-editing model that comes with the pack."""

from comfy_api.latest import io

from .schema import schema


class DemoModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEDemoModel",
            display_name="LIME Demo Model",
            search_aliases=["ip2p", "instruct pix2pix", "miniature"],
            category="LIME/demo",
            description=(
                "A miniature InstructPix2Pix for the scenes of LIME Demo Scene, so that the example workflow runs with "
                "no download. For your own pictures load a real checkpoint instead."
            ),
            inputs=[],
            outputs=[
                io.Model.Output(display_name="model", tooltip="Edits 64x64 pictures of coloured shapes."),
                io.Clip.Output(display_name="clip", tooltip="Knows the words of LIME Demo Scene's instructions."),
                io.Vae.Output(display_name="vae", tooltip="4 pixels to a latent pixel."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        from ..demo.model import load_demo_model

        return io.NodeOutput(*load_demo_model())
