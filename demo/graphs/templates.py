"""The workflows of ComfyUI's template browser, by their titles."""

from collections.abc import Callable
from typing import Any

from .edits import InstructPix2Pix, edit_instruct_pix2pix, edit_miniature, find_region
from .graph import LARGE, WIDE, Graph, Node, Output

CHECKPOINT = {
    "name": "instruct-pix2pix-00-22000.safetensors",
    "url": "https://huggingface.co/timbrooks/instruct-pix2pix/resolve/main/instruct-pix2pix-00-22000.safetensors",
    "directory": "checkpoints",
}
SCENE, SCENE_INSTRUCTION = 6, "please paint the orange square yellow"
INSTRUCTION = "make the saucer blue"
RESULT = "LIME edit"
NOTE = 480  # height of a note
RESULT_WIDTH, COMPARED = 500, 310  # of columns with a result of a graph that is wired in the open
SEED = 42
OWN_PHOTOGRAPH = (
    "For **your own photograph** add a *Load Image* node (double-click the canvas and type its name), choose your file "
    "there, and wire it into **image** in place of *Example photograph*."
)
LOADING = (
    f"**To load, once:** [{CHECKPOINT['name']}]({CHECKPOINT['url']}), 7.7 GB, into **ComfyUI/models/checkpoints**. "
    "The page offers to fetch it."
)


def try_lime(graph: Graph) -> None:
    with graph.column(width=WIDE):
        graph.note(
            "## Press Run\n"
            "A miniature model that comes with the pack edits a drawn scene: only what the instruction names changes. "
            "Nothing is downloaded.\n\n"
            "- Another **seed** in *Scene* draws another scene with an instruction for it: type that in **text**.\n"
            "- **focus**: the words that say where. **threshold**: higher, and the region is smaller. **strength**: "
            "how little the other words may do there.\n"
            "- The arrow in the corner of *LIME Edit* shows the nodes inside.\n\n"
            "The miniature knows drawn shapes only. For photographs open **2 Edit your photo**.",
            380,
        )
    with graph.column():
        model = graph.add("LIMEDemoModel", "Demo model")
        scene = graph.add("LIMEDemoScene", "Scene", seed=SCENE, shows=330)
    with graph.column(width=WIDE):
        wires: dict[str, Any] = {
            "image": scene["image"],
            "model": model["model"],
            "clip": model["clip"],
            "vae": model["vae"],
        }
        settings: dict[str, Any] = {"text": SCENE_INSTRUCTION, "seed": 7}
        edit = graph.use(edit_miniature(graph.node_info), **wires, **settings, shows=60)
        large: dict[str, Any] = {"upscale_method": "nearest-exact", "scale_by": 8.0}
        shown = graph.add("ImageScaleBy", "8 times larger, to see it", image=edit["image"], **large)
    with graph.column(width=LARGE):
        save(graph, shown["IMAGE"], 600)


def edit_photo(graph: Graph) -> None:
    model, photo = _start(
        graph,
        "## Only the saucer changes\n"
        f"{LOADING}\n\n{OWN_PHOTOGRAPH}\n\n"
        "Type what to change into **text**. The result has the photograph's own size and, outside the region, its own "
        "pixels.\n\n"
        "- The region is wrong? Write the words that name it into **focus**, as they stand in the text.\n"
        "- It takes in too much: raise **threshold**. Too little: lower it.\n"
        "- The edit is too weak: raise **guidance**.",
    )
    with graph.column(width=WIDE):
        edit = graph.use(edit_instruct_pix2pix(graph.node_info), **_wires(model, photo), **asked(), shows=60)
    result(graph, edit["image"])


def small_thing(graph: Graph) -> None:
    model, photo = _start(
        graph,
        "## Something small in something large\n"
        f"{LOADING}\n\n{OWN_PHOTOGRAPH}\n\n"
        "A model of 512 x 512 pixels sees little of a small thing in a large photograph. So it is found first, in the "
        "whole picture; then a crop around it is edited at the model's full size and pasted back.\n\n"
        "Type the instruction **twice**, once to find and once to edit. Raise **context** of *LIME Crop Around* "
        " when the crop shows too little for the model to know what it sees.",
    )
    wires = _wires(model, photo)
    with graph.column(width=WIDE):
        found = graph.use(find_region(graph.node_info), **wires, **asked())
        crop = graph.add("LIMECropAround", image=photo, mask=found["mask"], megapixels=0.25, shows=200)
    with graph.column(width=WIDE):
        wires["image"] = crop["cropped"]
        edit = graph.use(edit_instruct_pix2pix(graph.node_info), **wires, **asked())
        back: dict[str, Any] = {"image": photo, "edited": edit["image"], "mask": found["mask"], "crop": crop["crop"]}
        pasted = graph.add("LIMEPasteBack", "LIME Paste Back", **back)
    result(graph, pasted["image"])


def step_by_step(graph: Graph) -> None:
    edit = _open(
        graph,
        "## What LIME Edit does, wired in the open\n"
        f"{LOADING}\n\n{OWN_PHOTOGRAPH}\n\n"
        "The colours follow these steps:\n\n"
        "1. *LIME Instruction* encodes the text, *LIME Words* chooses the words that say what is edited.\n"
        "2. *LIME Probe* samples the first steps and records what the model attends to.\n"
        "3. *LIME Feature Cluster* cuts the picture into segments, *LIME Attention RoI* picks those of the words.\n"
        "4. *LIME Attention Regularize Model* and *LIME Keep Outside* keep the edit there.\n"
        "5. Sampling goes on from where the probe stopped, and *LIME Paste Back* puts the edit into the photograph.",
    )
    mask = edit.find()
    edit.sample(mask)
    save(graph, edit.finish(mask, RESULT_WIDTH), RESULT_WIDTH)


def as_published(graph: Graph) -> None:
    edit = _open(
        graph,
        "## As published\n"
        f"{LOADING}\n\n{OWN_PHOTOGRAPH}\n\n"
        "The published code finds the region in one pass and samples again from the start in a second. **setting** of "
        "*LIME Instruction* is **published**, with 8 **clusters**, a **strength** of 1 and all **branches**; these are "
        "advanced inputs. "
        "Nothing keeps the outside but the attention, and *LIME Paste Back*.",
        setting="published",
    )
    mask = edit.find(clusters=8)
    edit.sample_again(mask, keep=False, strength=1.0, branches="all")
    save(graph, edit.finish(mask, RESULT_WIDTH), RESULT_WIDTH)


def compare(graph: Graph) -> None:
    edit = _open(  # its note is as high as leaves the last column, at fit view, beside the minimap
        graph,
        "## With LIME and without\n"
        f"{LOADING}\n\n{OWN_PHOTOGRAPH}\n\n"
        "The same noise, steps and guidance twice. Look at what nobody asked to change: the table, the cup, the light.",
        height=640,
    )
    plain = edit.plain()
    mask = edit.find()
    edit.sample(mask)
    save(graph, edit.finish(mask, COMPARED), COMPARED)
    graph.add("PreviewImage", "Plain edit", images=plain, shows=COMPARED)


def batch(graph: Graph) -> None:
    model, photo = _start(
        graph,
        "## Four at once\n"
        f"{LOADING}\n\n{OWN_PHOTOGRAPH}\n\n"
        "The photograph is repeated four times and each gets noise of its own: four edits to choose from, in one run. "
        "A batch of different photographs works the same way, when they have one size and one instruction fits all.",
    )
    with graph.column(width=WIDE):
        four = graph.add("RepeatImageBatch", "Four of it", image=photo, amount=4)["IMAGE"]
        edit = graph.use(edit_instruct_pix2pix(graph.node_info), **_wires(model, four), **asked(), shows=60)
    result(graph, edit["image"])


def own_mask(graph: Graph) -> None:
    model, photo = _start(
        graph,
        "## In a mask of your own\n"
        f"{LOADING}\n\n{OWN_PHOTOGRAPH} Then open it in the mask editor, paint, and wire its **MASK** too.\n\n"
        "Nothing is probed: the mask says where, the words say what. A mask of SAM or of any other node does as well.",
    )
    edit = InstructPix2Pix(graph, list(_wires(model, photo).values()))
    edit.instruct(INSTRUCTION)
    edit.schedule(SEED)
    mask = Output(photo.node, 2)
    edit.sample_again(mask)
    save(graph, edit.finish(mask, RESULT_WIDTH), RESULT_WIDTH)


TEMPLATES: dict[str, Callable[[Graph], None]] = {
    "1 Try LIME (no download)": try_lime,
    "2 Edit your photo": edit_photo,
    "3 Small thing in a large photo": small_thing,
    "4 Step by step": step_by_step,
    "5 As published, two passes": as_published,
    "6 Compare with the plain edit": compare,
    "7 A batch": batch,
    "8 Your own mask": own_mask,
}


def _start(graph: Graph, note: str, height: int = NOTE) -> tuple[Node, Output]:
    """The note, the checkpoint and the photograph that most templates begin with."""
    with graph.column(width=WIDE):
        graph.note(note, height)
        model = graph.add(
            "CheckpointLoaderSimple", "InstructPix2Pix", ckpt_name=CHECKPOINT["name"], models=[CHECKPOINT]
        )
        photo = graph.add("LIMEExamplePhotograph", "Example photograph", shows=290)
    return model, photo["image"]


def _open(graph: Graph, note: str, height: int = NOTE, **choices: Any) -> InstructPix2Pix:
    model, photo = _start(graph, note, height)
    edit = InstructPix2Pix(graph, list(_wires(model, photo).values()))
    edit.instruct(INSTRUCTION, **choices)
    edit.schedule(SEED)
    return edit


def _wires(model: Node, photo: Output) -> dict[str, Any]:
    return {"image": photo, "model": model["MODEL"], "clip": model["CLIP"], "vae": model["VAE"]}


def asked() -> dict[str, Any]:
    return {"text": INSTRUCTION, "seed": SEED}


def result(graph: Graph, image: Output) -> None:
    with graph.column(width=LARGE):
        save(graph, image, 600)


def save(graph: Graph, image: Output, shows: int) -> None:
    graph.add("SaveImage", RESULT, images=image, filename_prefix="lime", shows=shows)
