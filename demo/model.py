"""The demo model, an InstructPix2Pix in miniature on the host's own classes: UNet, CLIP text model, model sampling.

64 x 64 pictures, 16 x 16 x 4 latents, v-prediction with zero terminal signal-to-noise ratio.
"""

from pathlib import Path
from typing import Any, ClassVar

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import safetensors.torch
import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).resolve().parent / "weights"
GUIDED = WEIGHTS.with_name("weights_guided")  # a UNet and text model that need guidance; the autoencoder is shared
PIXELS = 4  # to a latent pixel, each way
TEXT_WIDTH = 128
TEXT_CONFIG = {
    "hidden_size": TEXT_WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "hidden_act": "quick_gelu",
    "max_position_embeddings": 77,
    "eos_token_id": 49407,
}
UNET_CONFIG = {
    "image_size": 16,
    "use_spatial_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 64,
    "num_res_blocks": [1, 1, 1],
    "channel_mult": (1, 1, 2),
    "transformer_depth": [1, 1, 1],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "use_linear_in_transformer": False,
    "context_dim": TEXT_WIDTH,
    "dtype": torch.float32,
}
VOCABULARY = 49408  # tokens of the host's CLIP tokenizer
EMBEDDING = "transformer.text_model.embeddings.token_embedding.weight"


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Autoencoder(nn.Module):
    """Pictures [B, 3, H, W] in [-1, 1] to latents [B, 4, H / 4, W / 4] of unit variance, and back."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int = 64, blocks: int = 2) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(PIXELS),
            nn.Conv2d(3 * PIXELS**2, channels, 3, padding=1),
            *[_Block(channels) for _ in range(blocks)],
            nn.Conv2d(channels, 4, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(4, channels, 3, padding=1),
            *[_Block(channels) for _ in range(blocks + 1)],
            nn.Conv2d(channels, 3 * PIXELS**2, 3, padding=1),
            nn.PixelShuffle(PIXELS),
        )
        self.register_buffer("mean", torch.zeros(1, 4, 1, 1))
        self.register_buffer("std", torch.ones(1, 4, 1, 1))

    def encode(self, picture: Tensor) -> Tensor:
        return (self.encoder(picture) - self.mean) / self.std

    def decode(self, latent: Tensor) -> Tensor:
        return self.decoder(latent * self.std + self.mean)


class _Config(comfy.supported_models.SD15_instructpix2pix):
    unet_extra_config: ClassVar[dict[str, Any]] = {"num_heads": -1, "num_head_channels": 32}
    sampling_settings: ClassVar[dict[str, Any]] = {"zsnr": True}
    latent_format = comfy.latent_formats.LatentFormat


class _TextEncoder(comfy.sd1_clip.SDClipModel):
    def __init__(self, device: str = "cpu", dtype: torch.dtype | None = None, model_options: dict = {}) -> None:  # noqa: B006
        super().__init__(
            device=device,
            dtype=dtype,
            textmodel_json_config=dict(TEXT_CONFIG),
            return_projected_pooled=False,
            model_options=model_options,
        )


class _Text(comfy.sd1_clip.SD1ClipModel):
    def __init__(self, device: str = "cpu", dtype: torch.dtype | None = None, model_options: dict = {}) -> None:  # noqa: B006
        super().__init__(device=device, dtype=dtype, model_options=model_options, clip_model=_TextEncoder)


class _Tokenizer(comfy.sd1_clip.SD1Tokenizer):
    def __init__(self, embedding_directory: str | None = None, tokenizer_data: dict = {}) -> None:  # noqa: B006
        super().__init__(embedding_directory=embedding_directory, tokenizer_data=tokenizer_data, tokenizer=_BPE)


class _BPE(comfy.sd1_clip.SDTokenizer):
    def __init__(self, embedding_directory: str | None = None, tokenizer_data: dict = {}) -> None:  # noqa: B006
        super().__init__(
            embedding_directory=embedding_directory, embedding_size=TEXT_WIDTH, tokenizer_data=tokenizer_data
        )


def new_unet() -> comfy.model_base.BaseModel:
    """The untrained editing model, in the host's InstructPix2Pix class."""
    config = _Config(UNET_CONFIG)
    return comfy.model_base.SD15_instructpix2pix(
        config, model_type=comfy.model_base.ModelType.V_PREDICTION, device=torch.device("cpu")
    )


def new_clip() -> comfy.sd.CLIP:
    """The untrained text model with the host's CLIP tokenizer."""
    target = comfy.supported_models_base.ClipTarget(_Tokenizer, _Text)
    return comfy.sd.CLIP(target, model_options={"dtype": torch.float32})


def load_demo_model(
    folder: Path | None = None,
) -> tuple[comfy.model_patcher.ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]:
    """(model, clip, vae) with the trained weights. folder: of the UNet and the text model, WEIGHTS or GUIDED.

    Raises FileNotFoundError when they are missing.
    """
    unet, text, autoencoder = read_weights("unet", folder), read_weights("text", folder), read_weights("autoencoder")
    model = new_unet()
    model.diffusion_model.load_state_dict(unet)
    clip = new_clip()
    # Strictly: the host's CLIP.load_sd passes over keys that it does not expect, and leaves those layers uninitialised.
    text = with_full_vocabulary(text, EMBEDDING, VOCABULARY)
    text = {key.removeprefix("transformer."): value for key, value in text.items()}
    clip.cond_stage_model.clip_l.transformer.load_state_dict(text)
    return patcher_of(model), clip, vae_of(autoencoder)


def patcher_of(model: comfy.model_base.BaseModel) -> comfy.model_patcher.ModelPatcher:
    return comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def read_weights(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """Float32 weights of a file of `folder`, WEIGHTS by default. Raises FileNotFoundError when it is missing."""
    path = (folder or WEIGHTS) / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: reinstall the pack, or train it anew (python -m demo.train)")
    return {key: value.float() for key, value in safetensors.torch.load_file(path).items()}


def with_full_vocabulary(weights: dict[str, Tensor], embedding: str, size: int) -> dict[str, Tensor]:
    """Token rows that training never saw are not stored: they get the mean of those it did see.

    embedding: the name of the weight that has a row a token; size: how many there are.
    """
    rows, ids = weights.pop(embedding), weights.pop("token_ids").long()
    full = rows.mean(0).repeat(size, 1)
    full[ids] = rows
    return weights | {embedding: full}


def vae_of(weights: dict[str, Tensor]) -> comfy.sd.VAE:
    """The autoencoder as the host's VAE: made as the host's simplest one, with our network in its place."""
    autoencoder = Autoencoder()
    autoencoder.load_state_dict(weights)
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})
    vae.first_stage_model = autoencoder.eval().to(vae.vae_dtype)
    vae.downscale_ratio = vae.upscale_ratio = PIXELS
    vae.latent_channels = 4
    vae.size = None
    vae.patcher = comfy.model_patcher.ModelPatcher(
        vae.first_stage_model, load_device=vae.device, offload_device=comfy.model_management.vae_offload_device()
    )
    return vae
