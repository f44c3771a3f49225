"""The demo's DiT, a FLUX.1 Kontext in miniature: the host's Flux with a reference latent, its T5, its flow matching.

It shares the autoencoder of `model.py`: 64 x 64 pictures, 16 x 16 x 4 latents, a token a latent pixel. Text is not
pooled and modulation is shared by the blocks, as in FLUX.2. Matrices are stored with 8 bits a weight.
"""

import os
from pathlib import Path
from typing import Any

import comfy.latent_formats
import comfy.ldm.flux.model
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import comfy.text_encoders.t5
import torch
from torch import Tensor
from transformers import T5TokenizerFast

from .model import PIXELS, WEIGHTS, patcher_of, read_weights, vae_of, with_full_vocabulary

DIT = WEIGHTS.with_name("weights_dit")
WIDTH = 128
TEXT_LENGTH = 16  # tokens that an instruction is padded to; padding is attended to, as T5's is in FLUX.1
VOCABULARY = 32128
REFERENCE_INDEX = 3.0  # of the reference on the first axis of positions; the picture's is 0
FLUX_CONFIG = {
    "image_model": "flux",
    "in_channels": 4,
    "out_channels": 4,
    "vec_in_dim": None,
    "context_in_dim": WIDTH,
    "hidden_size": WIDTH,
    "mlp_ratio": 4.0,
    "num_heads": 4,
    "depth": 2,
    "depth_single_blocks": 4,
    "axes_dim": [4, 14, 14],
    "theta": 50,
    "patch_size": 1,
    "qkv_bias": True,
    "guidance_embed": False,
    "global_modulation": True,
    "default_ref_method": "index",
    "ref_index_scale": REFERENCE_INDEX,
    "dtype": torch.float32,
}
T5_CONFIG = {
    "d_model": WIDTH,
    "d_kv": 32,
    "d_ff": WIDTH,
    "num_heads": 4,
    "num_layers": 2,
    "vocab_size": VOCABULARY,
    "dense_act_fn": "relu",
    "is_gated_act": False,
    "model_type": "t5",
}
EMBEDDING = "shared.weight"
STEP = ".step"  # a matrix's row is stored as integers times its step


class _Latent(comfy.latent_formats.LatentFormat):
    spacial_downscale_ratio = PIXELS  # as later hosts call it


class _Config(comfy.supported_models.Flux):
    latent_format = _Latent


class _TextEncoder(comfy.sd1_clip.SDClipModel):
    def __init__(self, device: str = "cpu", dtype: torch.dtype | None = None, model_options: dict = {}) -> None:  # noqa: B006
        super().__init__(
            device=device,
            dtype=dtype,
            textmodel_json_config=dict(T5_CONFIG),
            special_tokens={"end": 1, "pad": 0},
            model_class=comfy.text_encoders.t5.T5,
            model_options=model_options,
        )


class _Text(comfy.sd1_clip.SD1ClipModel):
    def __init__(self, device: str = "cpu", dtype: torch.dtype | None = None, model_options: dict = {}) -> None:  # noqa: B006
        super().__init__(device=device, dtype=dtype, name="t5xxl", clip_model=_TextEncoder, model_options=model_options)


class _Tokenizer(comfy.sd1_clip.SD1Tokenizer):
    def __init__(self, embedding_directory: str | None = None, tokenizer_data: dict = {}) -> None:  # noqa: B006
        super().__init__(
            embedding_directory=embedding_directory,
            tokenizer_data=tokenizer_data,
            clip_name="t5xxl",
            tokenizer=_SentencePiece,
        )


class _SentencePiece(comfy.sd1_clip.SDTokenizer):
    """T5's tokenizer as the host's FLUX.1 sets it up, but for the width and the shortest length."""

    def __init__(self, embedding_directory: str | None = None, tokenizer_data: dict = {}) -> None:  # noqa: B006
        super().__init__(
            os.path.join(os.path.dirname(comfy.text_encoders.t5.__file__), "t5_tokenizer"),
            embedding_directory=embedding_directory,
            pad_with_end=False,
            embedding_size=WIDTH,
            embedding_key="t5xxl",
            tokenizer_class=T5TokenizerFast,
            has_start_token=False,
            pad_to_max_length=False,
            max_length=99999999,
            min_length=TEXT_LENGTH,
            tokenizer_data=tokenizer_data,
        )


def new_flux() -> comfy.model_base.BaseModel:
    """The untrained editing model, in the host's Flux class."""
    config: dict[str, Any] = dict(FLUX_CONFIG)
    if "txt_ids_dims" in comfy.ldm.flux.model.FluxParams.__dataclass_fields__:  # hosts after 0.3.75
        config["txt_ids_dims"] = []
    return comfy.model_base.Flux(_Config(config), device=torch.device("cpu"))


def new_t5() -> comfy.sd.CLIP:
    """The untrained text model with the host's T5 tokenizer."""
    target = comfy.supported_models_base.ClipTarget(_Tokenizer, _Text)
    return comfy.sd.CLIP(target, model_options={"dtype": torch.float32})


def load_dit(folder: Path = DIT) -> tuple[comfy.model_patcher.ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]:
    """(model, clip, vae) with the trained weights. Raises FileNotFoundError when they are missing."""
    flux, text, autoencoder = stored("flux", folder), stored("text", folder), read_weights("autoencoder")
    model = new_flux()
    model.diffusion_model.load_state_dict(model.model_config.process_unet_state_dict(flux))
    clip = new_t5()
    clip.cond_stage_model.t5xxl.transformer.load_state_dict(with_full_vocabulary(text, EMBEDDING, VOCABULARY))
    return patcher_of(model), clip, vae_of(autoencoder)


def stored(name: str, folder: Path) -> dict[str, Tensor]:
    """The weights of a file that `train_dit.in_8_bits` made."""
    weights = read_weights(name, folder)
    steps = {key.removesuffix(STEP): weights.pop(key) for key in list(weights) if key.endswith(STEP)}
    return {key: value * steps[key] if key in steps else value for key, value in weights.items()}
