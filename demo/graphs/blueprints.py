"""The pack's blueprints, and those that only a template holds: of models that few use or that old hosts lack."""

from collections.abc import Callable

from .edits import Edit, InstructPix2PixXL, aliases, edit_blueprint, edit_instruct_pix2pix, find_region
from .from_text import ImageToImage, Inpainting
from .graph import Graph
from .references import Flux2Dev, Flux2Klein, Kontext, OmniGen2
from .vision import LongCat, MageFlow, QwenImageEdit, QwenImageEditPlus

Describe = Callable[[dict], Graph]  # from the host's /object_info


def _of(family: type[Edit], name: str, *searched: str, models: str = "") -> Describe:
    """models: by default the one that gives its name. searched: what else finds it."""

    def describe(node_info: dict) -> Graph:
        graph = edit_blueprint(f"LIME Edit ({name})", node_info, family)
        graph.description = f"An instruction changes only the region that it is about. {models or name}."
        graph.aliases = aliases(*searched)
        return graph

    return describe


edit_kontext = _of(Kontext, "FLUX Kontext", "flux kontext", "kontext", models="FLUX.1 Kontext")
edit_flux2_dev = _of(Flux2Dev, "FLUX.2 dev", "flux 2", "flux2")
edit_flux2_klein = _of(Flux2Klein, "FLUX.2 Klein", "flux 2", "flux2", "klein")
edit_qwen = _of(QwenImageEdit, "Qwen-Image-Edit", "qwen image edit", "qwen")
edit_qwen_plus = _of(QwenImageEditPlus, "Qwen-Image-Edit 2509, 2511", "qwen image edit plus", "qwen", "firered")
edit_sdxl = _of(
    InstructPix2PixXL,
    "SDXL InstructPix2Pix",
    "cosxl edit",
    "ip2p",
    models="SDXL InstructPix2Pix and CosXL Edit",
)
image_to_image = _of(
    ImageToImage,
    "image to image",
    "img2img",
    models="The text says what the picture shows after the edit. SD1.5, SDXL, Chroma, Z-Image, Lumina 2 and others",
)
inpainting = _of(Inpainting, "inpainting model", "inpaint", models="Inpainting models of SD1.5, SD2 and SDXL")
edit_longcat = _of(LongCat, "LongCat-Image-Edit", "longcat")
edit_mage_flow = _of(MageFlow, "Mage-Flow-Edit", "mage flow")
edit_omnigen = _of(OmniGen2, "OmniGen2", "omnigen")

BLUEPRINTS: tuple[Describe, ...] = (
    edit_instruct_pix2pix,
    edit_sdxl,
    edit_kontext,
    edit_flux2_dev,
    edit_flux2_klein,
    edit_qwen,
    edit_qwen_plus,
    image_to_image,
    find_region,
)
