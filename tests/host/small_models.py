"""Small models with random weights of every family's own host class, and what their edits are given."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import signature

import pytest
import torch

FLUX = {
    "image_model": "flux", "in_channels": 16, "out_channels": 16, "vec_in_dim": 16, "context_in_dim": 24, "depth": 1,
    "hidden_size": 64, "mlp_ratio": 4.0, "num_heads": 2, "depth_single_blocks": 1, "axes_dim": [8, 12, 12],
    "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": True,
}  # fmt: skip
FLUX2 = FLUX | {
    "image_model": "flux2", "in_channels": 128, "out_channels": 128, "vec_in_dim": None, "mlp_ratio": 3.0,
    "axes_dim": [8, 8, 8, 8], "theta": 2000, "patch_size": 1, "qkv_bias": False, "global_modulation": True,
    "mlp_silu_act": True, "ops_bias": False, "default_ref_method": "index", "ref_index_scale": 10.0,
}  # fmt: skip
LONGCAT = FLUX | {"vec_in_dim": None, "guidance_embed": False, "txt_ids_dims": [1, 2]}
QWEN = {
    "image_model": "qwen_image", "patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 2,
    "attention_head_dim": 32, "num_attention_heads": 2, "joint_attention_dim": 24, "axes_dims_rope": (8, 12, 12),
}  # fmt: skip
MAGE = {
    "image_model": "mage_flow", "in_channels": 128, "out_channels": 128, "num_layers": 2, "attention_head_dim": 32,
    "num_attention_heads": 2, "joint_attention_dim": 24, "axes_dims_rope": (8, 12, 12),
}  # fmt: skip
CHROMA = {
    "image_model": "chroma", "in_channels": 64, "out_channels": 64, "context_in_dim": 24, "hidden_size": 64,
    "mlp_ratio": 4.0, "num_heads": 2, "depth": 1, "depth_single_blocks": 1, "axes_dim": [8, 12, 12], "theta": 10000,
    "patch_size": 2, "qkv_bias": True, "in_dim": 64, "out_dim": 64, "hidden_dim": 32, "n_layers": 2,
}  # fmt: skip
LUMINA = {
    "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 96, "cap_feat_dim": 24, "n_layers": 2,
    "n_refiner_layers": 1, "n_heads": 3, "n_kv_heads": 1, "axes_dims": [8, 12, 12], "axes_lens": [300, 512, 512],
    "qk_norm": True, "multiple_of": 32, "ffn_dim_multiplier": 2.0,
}  # fmt: skip
Z_IMAGE = LUMINA | {
    "dim": 384, "n_heads": 12, "n_kv_heads": 12, "z_image_modulation": True, "time_scale": 1000.0,
    "pad_tokens_multiple": 32,
}  # fmt: skip
OMNIGEN = {
    "image_model": "omnigen2", "patch_size": 2, "in_channels": 16, "hidden_size": 96, "num_layers": 2,
    "num_refiner_layers": 1, "num_attention_heads": 3, "num_kv_heads": 1, "multiple_of": 32,
    "axes_dim_rope": (8, 12, 12), "axes_lens": (300, 512, 512), "text_feat_dim": 24, "timestep_scale": 1000.0,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One family, on odd sizes and with references of another size."""

    config: str  # of comfy.supported_models
    unet: dict
    channels: int = 16
    size: tuple[int, int] = (17, 19)  # of the latent: an odd number of pixels to a patch
    grid: tuple[int, int] = (9, 10)  # of the picture's tokens
    frames: bool = False  # whether latents have a time axis
    references: int = 1
    before: int = 0  # tokens of the sequence between text and picture
    behind: int = 0  # and behind the picture
    mask: bool = False  # whether a text comes with a mask
    text_tokens: Callable[[int], int] = lambda tokens: tokens  # that a text of so many takes in the sequence
    first: Callable[[int], int] = lambda tokens: 0  # where it begins there


def padded(multiple: int) -> Callable[[int], int]:
    return lambda tokens: -(-tokens // multiple) * multiple


REFERENCE = 6 * 8  # tokens
UNPACKED = {"channels": 128, "size": (9, 10)}
LEFT_512 = {"text_tokens": lambda tokens: 512, "first": lambda tokens: 512 - tokens}
CASES = {
    "Flux.1 Kontext": Case("Flux", FLUX, behind=REFERENCE),
    "Flux.2": Case("Flux2", FLUX2, behind=REFERENCE, **UNPACKED, **LEFT_512),
    "LongCat": Case("LongCatImage", LONGCAT, behind=REFERENCE),
    "Chroma": Case("Chroma", CHROMA, references=0),
    "Qwen-Image-Edit": Case("QwenImage", QWEN, frames=True, references=2, behind=2 * REFERENCE),
    "Qwen-Image-Edit 2511": Case(
        "QwenImage",
        QWEN | {"default_ref_method": "index_timestep_zero"},
        frames=True,
        references=2,
        behind=2 * REFERENCE,
    ),
    "Mage-Flow": Case("MageFlow", MAGE, behind=REFERENCE, **UNPACKED),
    "Lumina 2": Case("Lumina2", LUMINA, references=0),
    "Z-Image": Case("ZImage", Z_IMAGE, references=0, text_tokens=padded(32), behind=96 - 90),
    "OmniGen2": Case("Omnigen2", OMNIGEN, before=REFERENCE, mask=True),
}


def newer_parameters(unet: dict) -> dict:
    """Those that 0.33 demands of some networks and 0.3.75 does not know."""
    from comfy.ldm.chroma.model import ChromaParams
    from comfy.ldm.flux.model import FluxParams

    kind = {"flux": FluxParams, "flux2": FluxParams, "chroma": ChromaParams}.get(unet["image_model"])
    known = {parameter.name for parameter in fields(kind)} if kind else set()
    values = {"txt_ids_dims": [3] if unet["image_model"] == "flux2" else [], "vec_in_dim": None}
    return {name: value for name, value in values.items() if name in known and name not in unet}


def unknown_parameters(unet: dict) -> set[str]:
    """Those of Qwen-Image's network that this host does not know: the newer models' way to place references."""
    from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel

    return set(unet) - set(signature(QwenImageTransformer2DModel).parameters)


def small_model(case: Case, seed: int = 0):
    """ModelPatcher; skips by name where this host has no such model."""
    import comfy.model_patcher
    import comfy.supported_models

    config = getattr(comfy.supported_models, case.config, None)
    if config is None:
        pytest.skip(f"this ComfyUI has no {case.config}")
    if case.config == "QwenImage" and (unknown := unknown_parameters(case.unet)):
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(unknown))} of {case.config}")
    config = config(case.unet | newer_parameters(case.unet) | {"dtype": torch.float32})
    config.unet_config.pop("disable_unet_model_creation", None)
    model = config.get_model({}, device=torch.device("cpu"))
    randomize(model.diffusion_model, seed)
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


def randomize(network: torch.nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(network.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator) * (
                weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
            )
            scales = weight.ndim == 1 and "norm" in name and name.endswith(("weight", "scale"))
            weight.copy_(noise + 1 if scales else noise)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
