"""LIMEDemoScene: a scene with an instruction, the wanted picture and the true region."""

from comfy_api.latest import io, ui

from .previews import at_preview_size


class DemoScene(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMEDemoScene",
            display_name="LIME Demo Scene",
            category="LIME/demo",
            description=(
                "Draws a scene of coloured shapes that the demo model has not seen in training, an instruction for it, "
                "the picture that the instruction asks for and the region it is about."
            ),
            inputs=[
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Which scene to draw.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The picture to edit."),
                io.String.Output(display_name="instruction", tooltip="What to change in it."),
                io.Image.Output(display_name="wanted", tooltip="What the edit should give."),
                io.Mask.Output(display_name="region", tooltip="Where it should change."),
            ],
        )

    @classmethod
    def execute(cls, seed: int) -> io.NodeOutput:
        from ..demo.scenes import make_scene

        scene = make_scene(seed, split="held_out")
        image = scene.source[None]
        preview = ui.PreviewImage(at_preview_size(image), cls=cls)
        return io.NodeOutput(image, scene.instruction, scene.wanted[None], scene.region[None].float(), ui=preview)
