"""LIMEExamplePhotograph: a free photograph with an instruction that fits it."""

from comfy_api.latest import io, ui

from .previews import ellipse, read_photograph
from .schema import schema

INSTRUCTION = "make the saucer blue"
SAUCER = (0.463, 0.545, 0.345, 0.45)  # centre and half axes, shares of the width and the height


class ExamplePhotograph(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEExamplePhotograph",
            display_name="LIME Example Photograph",
            category="LIME/demo",
            search_aliases=["example image", "sample picture", "localized edit"],
            description=(
                "A cup of coffee on a table, to try an edit when no file is at hand: 600 x 400 pixels, by Rachel "
                "Michetti, CC0. For your own photograph use Load Image in its place."
            ),
            inputs=[],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The photograph."),
                io.String.Output(display_name="instruction", tooltip="An instruction that fits it."),
                io.Mask.Output(display_name="mask", tooltip="The saucer and what stands on it, drawn as an ellipse."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        image = read_photograph()
        mask = ellipse(SAUCER, image.shape[1], image.shape[2])
        return io.NodeOutput(image, INSTRUCTION, mask, ui=ui.PreviewImage(image, cls=cls))
