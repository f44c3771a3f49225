"""The graph that `python -m demo` runs: one edit with LIME and without, and everything between shown."""

from typing import NamedTuple

from .edits import INSTRUCT_PIX2PIX, MINIATURE, InstructPix2Pix
from .graph import Graph
from .page import workflow

NOISE = 7


class Own(NamedTuple):
    """A picture of the user's own: its name in the input folder, what to change, and a checkpoint's file name."""

    image: str
    instruction: str
    checkpoint: str


def demo_workflow(node_info: dict, scene: int = 6, instruction: str | None = None, own: Own | None = None) -> dict:
    """Workflow JSON. scene: which one to draw for the demo model; instruction: by default the scene's own."""
    graph = Graph("demo", node_info)
    with graph.column("Model and picture"):
        if own:
            model = graph.add("CheckpointLoaderSimple", "Checkpoint", ckpt_name=own.checkpoint)
            image = graph.add("LoadImage", "Picture", image=own.image)["IMAGE"]
            text, trained = own.instruction, INSTRUCT_PIX2PIX
        else:
            model = graph.add("LIMEDemoModel", "Demo model")
            drawn = graph.add("LIMEDemoScene", "Scene", seed=scene)
            image, text, trained = drawn["image"], instruction or drawn["instruction"], MINIATURE
        graph.add("PreviewImage", "Source", images=image)
    edit = InstructPix2Pix(graph, [image, *(model[name] for name in model.outputs)], trained)
    edit.instruct(text)
    edit.schedule(NOISE)
    plain = edit.plain()
    mask = edit.find()
    edit.sample(mask)
    edited = edit.finish(mask)
    with graph.column("Results"):
        graph.add("MaskPreview", "Found region", mask=mask)
        graph.add("SaveImage", "LIME edit", images=edited, filename_prefix="lime_demo")
        graph.add("PreviewImage", "Plain edit", images=plain)
    return workflow(graph)
