"""A small SD1.5-shaped InstructPix2Pix with random weights, built from the host's own classes."""

import torch


def random_model(
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    channels: int = 32,
    heads: int = 2,
    context: int = 32,
    in_channels: int = 8,
    levels: int = 3,
):
    """ModelPatcher of a UNet with cross-attention at every level, whose text is [1, 77 * n, context]."""
    import comfy.model_base
    import comfy.model_patcher
    import comfy.supported_models

    config = comfy.supported_models.SD15_instructpix2pix(
        {
            "image_size": 32,
            "use_spatial_transformer": True,
            "legacy": False,
            "adm_in_channels": None,
            "in_channels": in_channels,
            "out_channels": 4,
            "model_channels": channels,
            "num_res_blocks": [1] * levels,
            "channel_mult": tuple(range(1, levels + 1)),
            "transformer_depth": [1] * levels,
            "transformer_depth_output": [1] * (2 * levels),
            "transformer_depth_middle": 1,
            "use_linear_in_transformer": False,
            "context_dim": context,
            "dtype": dtype,
        }
    )
    config.unet_config["num_heads"] = heads
    base = comfy.model_base.SD15_instructpix2pix if in_channels == 8 else comfy.model_base.BaseModel
    model = base(config, device=torch.device("cpu"))
    fill(model, seed)
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


def fill(model, seed: int = 0) -> None:
    """Random weights of about the size that training starts from."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.diffusion_model.named_parameters()):
            scale = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
            noise = torch.randn(weight.shape, generator=generator) * scale
            weight.copy_(noise + 1 if weight.ndim == 1 and name.endswith("weight") else noise)


def random_text(seed: int = 0, tokens: int = 77, context: int = 32) -> torch.Tensor:
    return torch.randn(1, tokens, context, generator=torch.Generator().manual_seed(seed))
