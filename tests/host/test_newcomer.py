"""A newcomer's ten minutes in the page: from an empty canvas to an edit that runs by curl, in either canvas.

LIME_SCREENSHOTS=FOLDER leaves a picture of every stage there.
"""

import pytest
from person import Person
from PIL import Image

from demo.graphs.demo import demo_workflow
from demo.scenes import make_scene

EDIT = "LIME Edit (InstructPix2Pix)"
REGION = ["LIME Words", "LIME Probe", "LIME Feature Cluster", "LIME Attention RoI"]
SCENE = make_scene(6, split="held_out")
# The blueprint scales to what large models are trained on; the demo model knows pictures of 64 x 64.
IN_MINIATURE = """() => {
    const {subgraph} = app.graph.nodes.find(node => node.title.startsWith("LIME Edit"));
    const set = (type, name, value) => subgraph.nodes.filter(node => node.type === type).forEach(
        node => node.widgets.find(widget => widget.name === name).value = value
    );
    set("LIMECropAround", "megapixels", 0.004);
    set("LIMECropAround", "multiple", 8);
    set("DualCFGGuider", "cfg_cond2_negative", 1);
}"""


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "photograph.png"
    Image.fromarray((SCENE.source * 255).round().byte().numpy()).save(path)
    return path


def test_ten_minutes(page, canvas, photograph, by_curl, tmp_path):
    me = Person(page, canvas)
    me.start_afresh()
    found = me.search("edit", EDIT, (1000, 300))
    assert any(name.startswith(EDIT) for name in found)
    me.search("demo model", "LIME Demo Model", (400, 250))
    me.search("load image", "Load Image", (400, 500))
    me.search("save image", "Save Image", (1500, 300))
    for output in ("model", "clip", "vae"):
        me.wire("LIME Demo Model", output, EDIT, output)
    me.wire("Load Image", "IMAGE", EDIT, "image")
    me.wire(EDIT, "image", "Save Image", "images")
    me.look("1 wired")

    me.upload("Load Image", photograph)
    me.set_text(EDIT, "text", SCENE.instruction)
    page.evaluate(IN_MINIATURE)
    me.set_line(EDIT, "steps", "12")
    me.set_line(EDIT, "guidance", "5")
    edited = me.run()
    me.look("2 edited")

    me.set_line(EDIT, "focus", "yellow")
    assert me.run() != edited
    me.look("3 another focus")
    me.undo(EDIT, "focus", "")
    assert me.run() == edited

    settings = me.settings(EDIT)
    assert SCENE.instruction in me.save("ten minutes")
    me.reload()
    assert me.settings(EDIT) == settings
    me.look("4 opened again")

    prompt = me.export()
    (last,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "SaveImage")
    last["filename_prefix"] = "by curl"  # what is the same in every input is not run again, and gives no picture
    ran = by_curl(prompt)
    assert ran.returncode == 0, ran.stderr
    with Image.open(tmp_path / "edit.png") as picture:
        assert picture.convert("RGB").tobytes() == edited


def test_a_part_of_the_graph_becomes_a_subgraph(page, canvas):
    me = Person(page, canvas)
    me.open(demo_workflow(page.request.get(f"{me.server}/object_info").json()))
    edited = me.run()
    me.select(REGION)
    me.command("Comfy.Graph.ConvertToSubgraph")
    page.wait_for_function("app.graph.nodes.some(node => node.isSubgraphNode?.())")
    me.look("5 a subgraph")
    assert me.run() == edited
