"""Files of trained models: their names, where they are and into which folder they belong."""

from typing import NamedTuple

HUB = "https://huggingface.co"


class File(NamedTuple):
    url: str
    directory: str  # under ComfyUI/models
    size: str = ""  # as the hub lists it; it was not looked up of all

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def offered(self) -> dict[str, str]:
        """As a node of the page holds it, which offers to fetch it."""
        return {"name": self.name, "url": self.url, "directory": self.directory}

    @property
    def link(self) -> str:
        size = f", {self.size}," if self.size else ""
        return f"[{self.name}]({self.url}){size} into **models/{self.directory}**"


def _repackaged(repository: str, path: str, size: str = "") -> File:
    """Of the host's own people, whose folders are called as the host's."""
    return File(f"{HUB}/Comfy-Org/{repository}/resolve/main/{path}", path.split("/")[-2], size)


def _diffusion(path: str, size: str = "") -> File:
    return File(f"{HUB}/{path}", "diffusion_models", size)


KONTEXT = _repackaged(
    "flux1-kontext-dev_ComfyUI", "split_files/diffusion_models/flux1-dev-kontext_fp8_scaled.safetensors", "11.9 GB"
)
CLIP_L = File(f"{HUB}/comfyanonymous/flux_text_encoders/resolve/main/clip_l.safetensors", "text_encoders", "246 MB")
T5 = File(
    f"{HUB}/comfyanonymous/flux_text_encoders/resolve/main/t5xxl_fp8_e4m3fn_scaled.safetensors",
    "text_encoders",
    "5.16 GB",
)
FLUX_VAE = _repackaged("Lumina_Image_2.0_Repackaged", "split_files/vae/ae.safetensors")

FLUX2_DEV = _repackaged("flux2-dev", "split_files/diffusion_models/flux2_dev_fp8mixed.safetensors", "35.5 GB")
MISTRAL = _repackaged("flux2-dev", "split_files/text_encoders/mistral_3_small_flux2_fp8.safetensors", "18.0 GB")
FLUX2_VAE = _repackaged("flux2-dev", "split_files/vae/flux2-vae.safetensors", "336 MB")
KLEIN = _diffusion("black-forest-labs/FLUX.2-klein-4b-fp8/resolve/main/flux-2-klein-4b-fp8.safetensors", "4.07 GB")
KLEIN_BASE = _diffusion(
    "black-forest-labs/FLUX.2-klein-base-4b-fp8/resolve/main/flux-2-klein-base-4b-fp8.safetensors", "4.09 GB"
)
KLEIN_9B = _diffusion("black-forest-labs/FLUX.2-klein-9b-fp8/resolve/main/flux-2-klein-9b-fp8.safetensors")
QWEN3_4B = _repackaged("z_image_turbo", "split_files/text_encoders/qwen_3_4b.safetensors", "8.04 GB")
QWEN3_8B = _repackaged("flux2-klein-9B", "split_files/text_encoders/qwen_3_8b_fp8mixed.safetensors")

_QWEN_EDIT = "split_files/diffusion_models/qwen_image_edit"
QWEN_EDIT = _repackaged("Qwen-Image-Edit_ComfyUI", f"{_QWEN_EDIT}_fp8_e4m3fn.safetensors", "20.4 GB")
QWEN_2509 = _repackaged("Qwen-Image-Edit_ComfyUI", f"{_QWEN_EDIT}_2509_fp8_e4m3fn.safetensors", "20.4 GB")
QWEN_2511 = _repackaged("Qwen-Image-Edit_ComfyUI", f"{_QWEN_EDIT}_2511_bf16.safetensors", "40.9 GB")
FIRERED = _diffusion(
    "FireRedTeam/FireRed-Image-Edit-1.1-ComfyUI/resolve/main/FireRed-Image-Edit-1.1-transformer.safetensors"
)
QWEN_VL = _repackaged(
    "Qwen-Image_ComfyUI", "split_files/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors", "9.38 GB"
)
QWEN_VAE = _repackaged("Qwen-Image_ComfyUI", "split_files/vae/qwen_image_vae.safetensors")

COSXL_EDIT = File(f"{HUB}/stabilityai/cosxl/resolve/main/cosxl_edit.safetensors", "checkpoints", "6.94 GB")
SDXL_IP2P = _diffusion(
    "diffusers/sdxl-instructpix2pix-768/resolve/main/unet/diffusion_pytorch_model.safetensors", "10.3 GB"
)
SDXL = File(
    f"{HUB}/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors",
    "checkpoints",
    "6.94 GB",
)
SD15 = File(
    f"{HUB}/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
    "checkpoints",
    "2.13 GB",
)
SD2_INPAINTING = File(
    f"{HUB}/stabilityai/stable-diffusion-2-inpainting/resolve/main/512-inpainting-ema.safetensors", "checkpoints"
)
SDXL_INPAINTING = _diffusion(
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1/resolve/main/unet/diffusion_pytorch_model.fp16.safetensors",
    "5.14 GB",
)

Z_IMAGE = _repackaged("z_image", "split_files/diffusion_models/z_image_bf16.safetensors")
Z_IMAGE_TURBO = _repackaged("z_image_turbo", "split_files/diffusion_models/z_image_turbo_bf16.safetensors", "12.3 GB")
CHROMA = _repackaged("Chroma1-HD_repackaged", "split_files/diffusion_models/Chroma1-HD-fp8mixed.safetensors")
LUMINA2 = File(
    f"{HUB}/duongve/NetaYume-Lumina-Image-2.0/resolve/main/NetaYumev35_pretrained_all_in_one.safetensors",
    "checkpoints",
)

OMNIGEN2 = _repackaged(
    "Omnigen2_ComfyUI_repackaged", "split_files/diffusion_models/omnigen2_fp16.safetensors", "7.93 GB"
)
OMNIGEN2_TEXT = _repackaged("Omnigen2_ComfyUI_repackaged", "split_files/text_encoders/qwen_2.5_vl_fp16.safetensors")
LONGCAT = _diffusion(
    "TalmajM/LongCat-Image-Edit_ComfyUI_repackaged/resolve/main/split_files/diffusion_models/"
    "longcat_image_edit_bf16.safetensors"
)
MAGE_FLOW = _repackaged("Mage-Flow", "diffusion_models/mage_flow_edit_bf16.safetensors")
MAGE_FLOW_TURBO = _repackaged("Mage-Flow", "diffusion_models/mage_flow_edit_turbo_bf16.safetensors")
MAGE_FLOW_TEXT = _repackaged("Mage-Flow", "text_encoders/qwen3vl_4b_bf16.safetensors")
MAGE_FLOW_VAE = _repackaged("Mage-Flow", "vae/mage_flow_vae_bf16.safetensors")
