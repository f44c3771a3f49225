"""Small UNets with random weights, built from the host's own classes: of SD1.5's shape and of SDXL's."""

import torch


def random_model(
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    channels: int = 32,
    heads: int = 2,
    context: int = 32,
    in_channels: int = 8,
    levels: int = 3,
    middle: int = 1,
):
    """ModelPatcher of a UNet with cross-attention at every level, whose text is [1, 77 * n, context].

    middle: -2 leaves the middle block out.
    """
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
            "transformer_depth_middle": middle,
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


def small_sdxl(in_channels: int = 4, cosxl: bool = False, context: int = 32, pooled: int = 1280):
    """ModelPatcher with SDXL's depths of transformers, narrow.

    in_channels: 8 of InstructPix2Pix, 9 of inpainting. cosxl: predicts as CosXL does. pooled: width of the pooled text.
    """
    import comfy.model_patcher
    import comfy.supported_models

    config = comfy.supported_models.SDXL_instructpix2pix if in_channels == 8 else comfy.supported_models.SDXL
    config = config(
        {
            "image_size": 32, "use_spatial_transformer": True, "legacy": False, "num_classes": "sequential",
            "adm_in_channels": pooled + 6 * 256, "in_channels": in_channels, "out_channels": 4, "model_channels": 32,
            "num_res_blocks": [2, 2, 2], "channel_mult": [1, 2, 4], "transformer_depth": [0, 0, 2, 2, 10, 10],
            "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10], "transformer_depth_middle": 10,
            "use_linear_in_transformer": True, "context_dim": context, "num_head_channels": 32, "dtype": torch.float32,
        }
    )  # fmt: skip
    edm = {"edm_vpred.sigma_max": torch.tensor(120.0), "edm_vpred.sigma_min": torch.tensor(0.002)}
    device = torch.device("cpu")
    model = config.get_model(edm if cosxl else {}, device=device)
    if in_channels == 9:
        model.set_inpaint()
    fill(model)
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
