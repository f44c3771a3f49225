"""Custom nodes for the tests' server: small models with random weights, in the place of a template's loaders."""

import sys
from dataclasses import replace
from pathlib import Path

import comfy.sd
import comfy.taesd.taesd
import pytest
from comfy.ldm.wan.vae import WanVAE
from comfy_api.latest import ComfyExtension, io

sys.path.append(str(Path(__file__).resolve().parents[1]))
from random_encoder import random_clip
from small_models import CASES, randomize, small_model

TEXT_WIDTH = 16  # of random_clip
FAMILIES = {  # name: its case, what the texts' width is called there, its text encoder, its autoencoder's network
    "FLUX Kontext": (
        "Flux.1 Kontext",
        "context_in_dim",
        "Flux",
        lambda: comfy.taesd.taesd.TAESD(latent_channels=16),
    ),
    "Qwen-Image-Edit": (
        "Qwen-Image-Edit",
        "joint_attention_dim",
        "Qwen-Image",
        lambda: WanVAE(dim=8, z_dim=16, temperal_downsample=[False, True, True]),
    ),
}


class StandIn(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        outputs = [io.Model.Output(), io.Clip.Output(), io.Vae.Output()]
        return io.Schema(node_id="StandIn", inputs=[io.Combo.Input("family", options=list(FAMILIES))], outputs=outputs)

    @classmethod
    def execute(cls, family: str) -> io.NodeOutput:
        name, width, encoder, autoencoder = FAMILIES[family]
        case = CASES[name]
        model = small_model(replace(case, unet=case.unet | {width: TEXT_WIDTH}))
        with pytest.MonkeyPatch.context() as monkeypatch:
            clip = random_clip(encoder, monkeypatch)
        network = autoencoder()
        randomize(network)
        return io.NodeOutput(model, clip, comfy.sd.VAE(sd=network.state_dict()))


class StandIns(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [StandIn]


async def comfy_entrypoint() -> StandIns:
    return StandIns()
