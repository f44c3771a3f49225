"""The templates of models other than InstructPix2Pix on SD1.5. None was run with trained weights: each says so."""

from collections.abc import Callable

from . import blueprints as edits
from . import model_files as files
from .graph import Graph
from .model_template import BY_ATTENTION, Model, template

FROM_TEXT = {"text": "a cup of coffee on a blue saucer", "focus": "saucer"}  # the edit of the other templates
DESCRIBED = "Type **what the picture shows after the edit**, and the words of it that are edited into **focus**."
DENOISE = "**denoise**: how far from the photograph the model may go."

MODELS = {
    "9 FLUX Kontext": Model(
        "FLUX.1 Kontext",
        edits.edit_kontext,
        (files.KONTEXT, files.CLIP_L, files.T5, files.FLUX_VAE),
        "flux",
    ),
    "10 Qwen-Image-Edit": Model(
        "Qwen-Image-Edit", edits.edit_qwen, (files.QWEN_EDIT, files.QWEN_VL, files.QWEN_VAE), "qwen_image"
    ),
    "11 Qwen-Image-Edit 2509, 2511": Model(
        "Qwen-Image-Edit 2509",
        edits.edit_qwen_plus,
        (files.QWEN_2509, files.QWEN_VL, files.QWEN_VAE),
        "qwen_image",
        hints=(
            "One or two more photographs may be wired into **image2** and **image3**: the model knows them as *Picture "
            "2* and *Picture 3*. What is edited is **image**, *Picture 1*.",
        ),
        others=(
            f"Qwen-Image-Edit 2511 (ComfyUI newer than 0.3.75): {files.QWEN_2511.link}",
            f"FireRed-Image-Edit 1.1: {files.FIRERED.link}",
        ),
    ),
    "12 FLUX.2 dev": Model(
        "FLUX.2 dev", edits.edit_flux2_dev, (files.FLUX2_DEV, files.MISTRAL, files.FLUX2_VAE), "flux2"
    ),
    "13 FLUX.2 Klein": Model(
        "FLUX.2 Klein 4B (ComfyUI newer than 0.3.75)",
        edits.edit_flux2_klein,
        (files.KLEIN, files.QWEN3_4B, files.FLUX2_VAE),
        "flux2",
        others=(
            f"Klein base 4B, **steps** 20, **guidance** 5: {files.KLEIN_BASE.link}",
            f"Klein 9B: {files.KLEIN_9B.link}, with {files.QWEN3_8B.link}",
        ),
    ),
    "14 SDXL InstructPix2Pix, CosXL": Model(
        "CosXL Edit",
        edits.edit_sdxl,
        (files.COSXL_EDIT,),
        others=(
            f"SDXL InstructPix2Pix, **megapixels** 0.56 (768 x 768): {files.SDXL_IP2P.link}, in a *Load Diffusion "
            f"Model*; wire clip and vae from {files.SDXL.link}",
        ),
        region=BY_ATTENTION,
    ),
    "15 Image to image": Model(
        "SDXL",
        edits.image_to_image,
        (files.SDXL,),
        hints=(DESCRIBED, DENOISE),
        others=(
            f"SD1.5, **megapixels** 0.25: {files.SD15.link}",
            "any other model of these two that makes pictures from a text",
        ),
        region=BY_ATTENTION,
        settings=FROM_TEXT,
    ),
    "16 Chroma, Z-Image, Lumina 2": Model(
        "Z-Image",
        edits.image_to_image,
        (files.Z_IMAGE, files.QWEN3_4B, files.FLUX_VAE),
        "lumina2",
        shift=3.0,
        hints=(DESCRIBED, DENOISE),
        others=(
            f"Z-Image-Turbo, **steps** 8, **guidance** 1: {files.Z_IMAGE_TURBO.link}",
            f"Chroma, text encoder of **type** chroma, **shift** 1, **guidance** 3.5: {files.CHROMA.link}, with "
            f"{files.T5.link}",
            f"Lumina 2, **shift** 4: {files.LUMINA2.link}, in a *Load Checkpoint* in place of the three loaders",
        ),
        settings=FROM_TEXT | {"guidance": 4.0},
    ),
    "17 Inpainting model": Model(
        "the inpainting model of Stable Diffusion 2",
        edits.inpainting,
        (files.SD2_INPAINTING,),
        hints=(
            DESCRIBED,
            "The region is found with nothing of the picture in the model's extra channels, and inpainted from the "
            "start: two passes.",
        ),
        others=(
            "SD1.5's inpainting model, sd-v1-5-inpainting.ckpt, into **models/checkpoints**",
            f"SDXL's, **megapixels** 1: {files.SDXL_INPAINTING.link}, in a *Load Diffusion Model*; wire clip and vae "
            f"from {files.SDXL.link}",
        ),
        region=BY_ATTENTION,
        settings=FROM_TEXT,
    ),
    "18 OmniGen2": Model(
        "OmniGen2", edits.edit_omnigen, (files.OMNIGEN2, files.OMNIGEN2_TEXT, files.FLUX_VAE), "omnigen2"
    ),
    "19 LongCat-Image-Edit": Model(
        "LongCat-Image-Edit (ComfyUI newer than 0.3.75)",
        edits.edit_longcat,
        (files.LONGCAT, files.QWEN_VL, files.FLUX_VAE),
        "longcat_image",
    ),
    "20 Mage-Flow-Edit": Model(
        "Mage-Flow-Edit (ComfyUI newer than 0.3.75)",
        edits.edit_mage_flow,
        (files.MAGE_FLOW, files.MAGE_FLOW_TEXT, files.MAGE_FLOW_VAE),
        "mage",
        others=(f"its Turbo, **steps** 4, **guidance** 1: {files.MAGE_FLOW_TURBO.link}",),
    ),
}

TEMPLATES: dict[str, Callable[[Graph], None]] = {title: template(model) for title, model in MODELS.items()}
