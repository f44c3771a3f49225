"""The templates of models whose parts are separate files. None was run with trained weights: each says so."""

from collections.abc import Callable
from typing import Any

from .graph import WIDE, Graph
from .references import edit_kontext, edit_qwen
from .templates import OWN_PHOTOGRAPH, asked, result

HUB = "https://huggingface.co"
FLUX_TEXT = f"{HUB}/comfyanonymous/flux_text_encoders/resolve/main"
QWEN = f"{HUB}/Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files"


def _file(url: str, directory: str) -> dict[str, str]:
    return {"name": url.rsplit("/", 1)[1], "url": url, "directory": directory}


KONTEXT_MODEL = _file(
    f"{HUB}/Comfy-Org/flux1-kontext-dev_ComfyUI/resolve/main/split_files/diffusion_models/"
    "flux1-dev-kontext_fp8_scaled.safetensors",
    "diffusion_models",
)
CLIP_L = _file(f"{FLUX_TEXT}/clip_l.safetensors", "text_encoders")
T5 = _file(f"{FLUX_TEXT}/t5xxl_fp8_e4m3fn_scaled.safetensors", "text_encoders")
FLUX_VAE = _file(
    f"{HUB}/Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae/ae.safetensors",
    "vae",
)
QWEN_MODEL = _file(
    f"{HUB}/Comfy-Org/Qwen-Image-Edit_ComfyUI/resolve/main/split_files/diffusion_models/"
    "qwen_image_edit_fp8_e4m3fn.safetensors",
    "diffusion_models",
)
QWEN_TEXT = _file(f"{QWEN}/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors", "text_encoders")
QWEN_VAE = _file(f"{QWEN}/vae/qwen_image_vae.safetensors", "vae")
SIZES = {  # as the hub lists them; of the autoencoders it was not looked up
    KONTEXT_MODEL["name"]: "11.9 GB",
    CLIP_L["name"]: "246 MB",
    T5["name"]: "5.16 GB",
    QWEN_MODEL["name"]: "20.4 GB",
    QWEN_TEXT["name"]: "9.38 GB",
}


def flux_kontext(graph: Graph) -> None:
    with graph.column(width=WIDE):
        graph.note(_note("FLUX.1 Kontext", [KONTEXT_MODEL, CLIP_L, T5, FLUX_VAE]), 560)
    names: dict[str, Any] = {"clip_name1": CLIP_L["name"], "clip_name2": T5["name"], "type": "flux"}
    with graph.column():
        model = graph.add("UNETLoader", "FLUX.1 Kontext", unet_name=KONTEXT_MODEL["name"], models=[KONTEXT_MODEL])
        clip = graph.add("DualCLIPLoader", "Text encoders", models=[CLIP_L, T5], **names)
        vae = graph.add("VAELoader", "Autoencoder", vae_name=FLUX_VAE["name"], models=[FLUX_VAE])
        photo = graph.add("LIMEExamplePhotograph", "Example photograph", shows=290)["image"]
    wires = {"image": photo, "model": model["MODEL"], "clip": clip["CLIP"], "vae": vae["VAE"]}
    _edit(graph, edit_kontext(graph.node_info), wires)


def qwen_image_edit(graph: Graph) -> None:
    with graph.column(width=WIDE):
        graph.note(_note("Qwen-Image-Edit", [QWEN_MODEL, QWEN_TEXT, QWEN_VAE]), 560)
    names: dict[str, Any] = {"clip_name": QWEN_TEXT["name"], "type": "qwen_image"}
    with graph.column():
        model = graph.add("UNETLoader", "Qwen-Image-Edit", unet_name=QWEN_MODEL["name"], models=[QWEN_MODEL])
        clip = graph.add("CLIPLoader", "Text encoder", models=[QWEN_TEXT], **names)
        vae = graph.add("VAELoader", "Autoencoder", vae_name=QWEN_VAE["name"], models=[QWEN_VAE])
        photo = graph.add("LIMEExamplePhotograph", "Example photograph", shows=290)["image"]
    wires = {"image": photo, "model": model["MODEL"], "clip": clip["CLIP"], "vae": vae["VAE"]}
    _edit(graph, edit_qwen(graph.node_info), wires)


TEMPLATES: dict[str, Callable[[Graph], None]] = {"9 FLUX Kontext": flux_kontext, "10 Qwen-Image-Edit": qwen_image_edit}


def _note(model: str, files: list[dict[str, str]]) -> str:
    links = "\n".join(
        f"- [{file['name']}]({file['url']}){_size(file)} into **models/{file['directory']}**" for file in files
    )
    return (
        f"## An edit with {model}\n"
        "**Not run with trained weights yet**: small models of the same classes with random weights run it in the "
        "pack's tests. So nothing is known of how well it finds a region, and the thumbnail is the photograph before "
        "any edit.\n\n"
        f"**To load, once** (the page offers to fetch them):\n\n{links}\n\n{OWN_PHOTOGRAPH}\n\n"
        "The region is where the model's early estimate differs from the photograph, not where it attends to the "
        "words. Is it too large? Raise **threshold**. Outside it the result has the photograph's own pixels."
    )


def _size(file: dict[str, str]) -> str:
    return f", {SIZES[file['name']]}," if file["name"] in SIZES else ""


def _edit(graph: Graph, blueprint: Graph, wires: dict[str, Any]) -> None:
    with graph.column(width=WIDE):
        edit = graph.use(blueprint, **wires, **asked(), shows=60)
    result(graph, edit["image"])
