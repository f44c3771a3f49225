"""Blocks of large models at their real widths with random weights, edited in the real host."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from .sd15 import IMAGE_GUIDANCE, TEXT_GUIDANCE, Edit, fill, host
from .steps import other_layers

HEAD = 128  # channels, of Flux and Qwen-Image


@dataclass(frozen=True)
class Model:
    """What is left of one family's model: a block or two."""

    config: str  # of comfy.supported_models
    unet: dict
    blocks: str  # the class of its blocks
    text: tuple[int, int]  # tokens and width
    channels: tuple[int, ...]  # of the latent, with its frames
    recorded: slice  # which of the blocks are recorded
    maps: int  # that the whole model's record has, all of this block's size
    edits_by_channels: bool = False  # the picture to edit comes on channels, else as a reference


FLUX = {
    "image_model": "flux", "in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": 4096,
    "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": 1, "depth_single_blocks": 0,
    "axes_dim": [16, 56, 56], "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": True,
}  # fmt: skip
QWEN = {
    "image_model": "qwen_image", "patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 1,
    "attention_head_dim": HEAD, "num_attention_heads": 24, "joint_attention_dim": 3584, "axes_dims_rope": (16, 56, 56),
}  # fmt: skip
SDXL = {
    "image_size": 32, "use_spatial_transformer": True, "legacy": False, "num_classes": "sequential",
    "adm_in_channels": 2816, "in_channels": 8, "out_channels": 4, "model_channels": 320, "num_res_blocks": [1, 1, 1],
    "channel_mult": [1, 2, 4], "transformer_depth": [0, 1, 1], "transformer_depth_output": [0] * 6,
    "transformer_depth_middle": -1, "use_linear_in_transformer": True, "context_dim": 2048, "num_head_channels": 64,
}  # fmt: skip
MODELS = {
    # Blocks at 64 x 64 and at 32 x 32; the latter are recorded. The whole model has 10 and 60.
    "SDXL InstructPix2Pix": Model(
        "SDXL_instructpix2pix", SDXL, "BasicTransformerBlock", (77, 2048), (4,), slice(1, 2), 60, True
    ),
    "FLUX.1 Kontext": Model("Flux", FLUX, "DoubleStreamBlock", (256, 4096), (16,), slice(0, 1), 1),
    "Qwen-Image-Edit": Model("QwenImage", QWEN, "QwenImageTransformerBlock", (256, 3584), (16, 1), slice(0, 1), 1),
}
NARROW = {"hidden_size": 2 * HEAD, "num_heads": 2, "num_attention_heads": 2, "model_channels": 32}


class BlockEdit(Edit):
    """A picture of side x side pixels, edited by one instruction: with InstructPix2Pix's guidance, or without any."""

    def __init__(self, name: str, side: int, narrow: bool = False) -> None:
        self.kind = MODELS[name]
        super().__init__(_patcher(self.kind, narrow), side, 1, 2, self.kind.text, self.kind.channels)
        generator = torch.Generator().manual_seed(2)
        self.more: dict[str, Any] = {"pooled_output": torch.randn(1, 1280, generator=generator), "guidance": 2.5}
        if self.kind.edits_by_channels:
            self.more["concat_latent_image"] = self.source
        else:
            self.more["reference_latents"] = [self.source]

    def guider(self, model: Any = None) -> Any:
        model, custom = model or self.model, self.host.custom
        positive = [[self.text, self.more]]
        if not self.kind.edits_by_channels:
            return custom.BasicGuider.execute(model, positive)[0]
        blank = {key: value for key, value in self.more.items() if key != "concat_latent_image"}
        conds = (positive, [[self.empty, self.more]], [[self.empty, blank]])
        return custom.DualCFGGuider.execute(model, *conds, TEXT_GUIDANCE, IMAGE_GUIDANCE, "regular")[0]

    def regularized(self, mask: Tensor) -> Any:
        """The model regularised inside the mask."""
        return self.host.regularizer.regularize_model(self.model, mask, self.tokens, self.settings)

    @property
    def network(self) -> nn.Module:
        return self.model.get_model_object("diffusion_model")

    def blocks(self) -> list[nn.Module]:
        return [module for module in self.network.modules() if type(module).__name__ == self.kind.blocks]

    def all_but_attention(self) -> Iterator[nn.Module]:
        """Layers whose outputs may be replayed, so that what is left is the attention that the pack changes."""
        if self.kind.edits_by_channels:
            return other_layers(self.network)
        return (module for module in self.network.modules() if not any(module.children()))


def _patcher(kind: Model, narrow: bool) -> Any:
    """ModelPatcher; bf16 on a GPU, fp32 on a CPU."""
    device = host().device
    import comfy.ldm.flux.model
    import comfy.model_patcher
    import comfy.supported_models

    unet = kind.unet | {key: value for key, value in NARROW.items() if narrow and key in kind.unet}
    if "txt_ids_dims" in {parameter.name for parameter in fields(comfy.ldm.flux.model.FluxParams)}:
        unet |= {"txt_ids_dims": []} if unet.get("image_model") == "flux" else {}  # hosts after 0.3.75
    unet["dtype"] = torch.float32 if device.type == "cpu" else torch.bfloat16
    config = getattr(comfy.supported_models, kind.config)(unet)
    config.unet_config.pop("disable_unet_model_creation", None)
    model = config.get_model({}, device=device)
    fill(model.diffusion_model)
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)
