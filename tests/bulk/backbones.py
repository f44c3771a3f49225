"""Small networks with random weights, saved as those on Hugging Face are."""

from pathlib import Path

import torch

from bulk.metrics import Backbones
from demo.host import comfyui_path


def random_backbones(folder: Path) -> Backbones:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer, ViTConfig, ViTModel

    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = small | {"image_size": 32, "patch_size": 8}
    clip = CLIPModel(CLIPConfig(text_config=small, vision_config=vision, projection_dim=16))
    clip.save_pretrained(folder / "clip")
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessor(**size).save_pretrained(folder / "clip")
    CLIPTokenizer.from_pretrained(str(comfyui_path() / "comfy" / "sd1_tokenizer")).save_pretrained(folder / "clip")
    ViTModel(ViTConfig(**vision), add_pooling_layer=False).save_pretrained(folder / "vit")
    return Backbones(str(folder / "clip"), str(folder / "vit"), str(folder / "vit"), lpips=False)
