"""Custom nodes for the tests' server: small models with random weights, in the place of a template's loaders."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import comfy.sd
import comfy.taesd.taesd
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.wan.vae import WanVAE
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import ComfyExtension, io

sys.path.append(str(Path(__file__).resolve().parents[1]))
from random_encoder import random_clip
from small_models import CASES, randomize, small_model

from random_model import random_model, small_sdxl

TEXT_WIDTH = 16  # of random_clip
FLUX2_VAE = {
    "embed_dim": 32,
    "ddconfig": {
        "double_z": True, "z_channels": 32, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0,
        "batch_norm_latent": True,
    },
}  # fmt: skip


def transformer(name: str, width_of_text: str, layers: int = 1) -> ModelPatcher:
    """layers: how many of its text encoder's outputs are laid side by side."""
    case = CASES[name]
    return small_model(replace(case, unet=case.unet | {width_of_text: layers * TEXT_WIDTH}))


def inpainting() -> ModelPatcher:
    model = random_model(context=TEXT_WIDTH, in_channels=9)
    model.model.set_inpaint()
    return model


def taesd(channels: int) -> torch.nn.Module:
    return comfy.taesd.taesd.TAESD(latent_channels=channels)


def wan() -> torch.nn.Module:
    return WanVAE(dim=2, z_dim=16, temperal_downsample=[False, True, True])


class Family(NamedTuple):
    model: Callable[[], ModelPatcher]
    encoder: str  # of random_encoder
    autoencoder: Callable[[], torch.nn.Module]
    config: dict | None = None  # of an autoencoder that the host does not tell by its weights


def of_flux2(model: Callable[[], ModelPatcher], encoder: str) -> Family:
    return Family(model, encoder, lambda: AutoencoderKL(**FLUX2_VAE), {"params": FLUX2_VAE})


XL = {"context": 2 * TEXT_WIDTH, "pooled": TEXT_WIDTH}
FAMILIES = {
    "FLUX.1 Kontext": Family(lambda: transformer("Flux.1 Kontext", "context_in_dim"), "Flux", lambda: taesd(16)),
    "FLUX.2 dev": of_flux2(lambda: transformer("Flux.2", "context_in_dim", 3), "Flux.2"),
    "FLUX.2 Klein": of_flux2(lambda: transformer("Flux.2", "context_in_dim", 3), "Flux.2 Klein"),
    "Qwen-Image-Edit": Family(lambda: transformer("Qwen-Image-Edit", "joint_attention_dim"), "Qwen-Image", wan),
    "Qwen-Image-Edit 2511": Family(
        lambda: transformer("Qwen-Image-Edit 2511", "joint_attention_dim"), "Qwen-Image", wan
    ),
    "LongCat": Family(lambda: transformer("LongCat", "context_in_dim"), "LongCat", lambda: taesd(16)),
    "Mage-Flow": of_flux2(lambda: transformer("Mage-Flow", "joint_attention_dim"), "Mage-Flow"),
    "OmniGen2": Family(lambda: transformer("OmniGen2", "text_feat_dim"), "OmniGen2", lambda: taesd(16)),
    "Chroma": Family(lambda: transformer("Chroma", "context_in_dim"), "Chroma", lambda: taesd(16)),
    "Z-Image": Family(lambda: transformer("Z-Image", "cap_feat_dim"), "Z-Image", lambda: taesd(16)),
    "Lumina 2": Family(lambda: transformer("Lumina 2", "cap_feat_dim"), "Lumina2", lambda: taesd(16)),
    "SD1.5": Family(lambda: random_model(context=TEXT_WIDTH, in_channels=4), "CLIP-L", lambda: taesd(4)),
    "SD1.5 inpainting": Family(inpainting, "CLIP-L", lambda: taesd(4)),
    "SDXL": Family(lambda: small_sdxl(**XL), "SDXL", lambda: taesd(4)),
    "SDXL inpainting": Family(lambda: small_sdxl(9, **XL), "SDXL", lambda: taesd(4)),
    "SDXL InstructPix2Pix": Family(lambda: small_sdxl(8, **XL), "SDXL", lambda: taesd(4)),
    "CosXL Edit": Family(lambda: small_sdxl(8, cosxl=True, **XL), "SDXL", lambda: taesd(4)),
}


class StandIn(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        outputs = [io.Model.Output(), io.Clip.Output(), io.Vae.Output()]
        return io.Schema(node_id="StandIn", inputs=[io.Combo.Input("family", options=list(FAMILIES))], outputs=outputs)

    @classmethod
    def execute(cls, family: str) -> io.NodeOutput:
        """Raises RuntimeError, which begins with "this ComfyUI has no", where the host lacks that family."""
        made = FAMILIES[family]
        try:
            model = made.model()
        except pytest.skip.Exception as skipped:  # which would end the server's worker
            raise RuntimeError(str(skipped)) from None
        with pytest.MonkeyPatch.context() as monkeypatch:
            clip = random_clip(made.encoder, monkeypatch)
        if clip is None:
            raise RuntimeError(f"this ComfyUI has no text encoder of {made.encoder}")
        network = made.autoencoder()
        randomize(network)
        return io.NodeOutput(model, clip, comfy.sd.VAE(sd=network.state_dict(), config=made.config))


class StandIns(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [StandIn]


async def comfy_entrypoint() -> StandIns:
    return StandIns()
