"""A template's thumbnail: what its own nodes show when it is run with the demo model, or a card."""

from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..client import Client
from ..host import PACK
from ..workflow import set_inputs, to_api

SIDE = 256  # pixels of a tile
PHOTOGRAPH = PACK / "demo" / "photograph" / "coffee.jpg"
# By template: the scene that stands for the photograph, and the nodes that show something. Of LIME Attention RoI, whose
# picture is heat map and region side by side, 0 is the first and 1 the second half.
SHOWN: dict[str, tuple[int, list[tuple[str, int | None]]]] = {
    "1 Try LIME (no download)": (6, [("Scene", None), ("LIME edit", None)]),
    "2 Edit your photo": (25, [("LIME Attention RoI", 1), ("LIME edit", None)]),
    "3 Small thing in a large photo": (60, [("LIME Crop Around", None), ("LIME edit", None)]),
    "4 Step by step": (
        34,
        [("LIME Feature Cluster", None), ("LIME Attention RoI", 0), ("LIME Attention RoI", 1), ("LIME edit", None)],
    ),
    "5 As published, two passes": (57, [("LIME Attention RoI", 0), ("LIME edit", None)]),
    "6 Compare with the plain edit": (14, [("Plain edit", None), ("LIME edit", None)]),
    "7 A batch": (38, [("LIME edit", None)]),
    "8 Your own mask": (43, [("Example photograph", None), ("LIME edit", None)]),
}


def thumbnail(client: Client, title: str, workflow: dict, object_info: dict) -> Image.Image:
    """Runs a template and lays what its nodes show side by side, four pictures in a square."""
    seed, shown = SHOWN[title]
    prompt = to_api(workflow, object_info)
    in_miniature(prompt, seed)
    outputs = client.run(prompt).outputs
    tiles = []
    for name, half in shown:
        (key,) = (key for key, node in prompt.items() if node["_meta"]["title"] == name and key in outputs)
        pictures = [client.picture(image) for image in outputs[key]["images"]]
        tiles += [_tile(picture, half) for picture in pictures]
    columns = 2
    page = Image.new("RGB", (columns * SIDE, -(-len(tiles) // columns) * SIDE))
    for i, tile in enumerate(tiles):
        page.paste(tile, (i % columns * SIDE, i // columns * SIDE))
    return page


def in_miniature(prompt: dict, seed: int) -> None:
    """Puts the demo model and a scene in the place of checkpoint and photograph."""
    from ..scenes import make_scene

    instruction = make_scene(seed, split="held_out").instruction
    for key, node in prompt.items():
        if node["class_type"] == "CheckpointLoaderSimple":
            node |= {"class_type": "LIMEDemoModel", "inputs": {}}
        if node["class_type"] in ("LIMEExamplePhotograph", "LIMEDemoScene"):
            node |= {"class_type": "LIMEDemoScene", "inputs": {"seed": seed}}
            _rewire(prompt, [key, 2], [key, 3])  # the mask
    sized = [node["inputs"] for node in prompt.values() if node["class_type"] == "LIMECropAround"]
    published = any(node["inputs"].get("setting") == "published" for node in prompt.values())
    for inputs in sized:  # to 64 x 64; the published setting regularises nothing below 128 x 128
        inputs |= {"megapixels": 0.016 if published else 0.004, "multiple": 8}
    set_inputs(prompt, "LIMEInstruction", text=instruction)
    set_inputs(prompt, "DualCFGGuider", cfg_conds=5.0, cfg_cond2_negative=1.0)
    set_inputs(prompt, "BasicScheduler", steps=12)


def _rewire(prompt: dict, old: list, new: list) -> None:
    for node in prompt.values():
        for name, wire in node["inputs"].items():
            if wire == old:
                node["inputs"][name] = new


def _tile(picture: Image.Image, half: int | None) -> Image.Image:
    width, height = picture.size
    if half is not None:
        picture = picture.crop((half * width // 2, 0, (half + 1) * width // 2, height))
    return picture.crop((0, 0, picture.width, picture.width)).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def card(title: str) -> Image.Image:
    """For a template that was not run: the example photograph with the template's name on it."""
    side = 2 * SIDE
    with Image.open(PHOTOGRAPH) as photograph:
        picture = ImageOps.fit(photograph.convert("RGB"), (side, side))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, side - 112, side, side), "#20261d")
    name, width = title.split(" ", 1)[1], side - 48
    wide = ImageFont.load_default(44).getlength(name)
    draw.text((24, side - 98), name, "#f4f7ee", ImageFont.load_default(min(44, 44 * width / wide)))
    draw.text((24, side - 42), "not run with trained weights", "#b9c2b4", ImageFont.load_default(24))
    return picture
