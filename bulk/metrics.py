"""The papers' metrics, computed as their authors' evaluation code does."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

IMAGENET = v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
AGAINST_TARGET = ("l1", "l2", "clip_i", "dino")
OUTSIDE = ("psnr", "ssim", "lpips", "structure")
METRICS = (*AGAINST_TARGET, "clip_t", *OUTSIDE, "iou")


class Backbones(NamedTuple):
    """Networks by their names on Hugging Face, or by folder."""

    clip: str
    dino: str = "facebook/dino-vits16"
    structure: str = "facebook/dino-vitb8"
    lpips: bool = True  # trained, else random


class Metrics:
    """Scores an edit. A metric whose network cannot be had is None, and `missing` says why."""

    def __init__(self, backbones: Backbones) -> None:
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel, ViTModel

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.missing: dict[str, str] = {}
        self.clip = self._load("clip_i", CLIPModel.from_pretrained, backbones.clip)
        if self.clip is not None:
            self.processor = AutoImageProcessor.from_pretrained(backbones.clip)
            self.tokenizer = AutoTokenizer.from_pretrained(backbones.clip)
        self.dino = self._load("dino", ViTModel.from_pretrained, backbones.dino)
        self.structure = self._load("structure", ViTModel.from_pretrained, backbones.structure)
        self.lpips = self._load("lpips", _lpips, backbones.lpips)

    def _load(self, metric: str, load: Callable[[Any], Any], name: Any) -> Any:
        try:
            return load(name).eval().to(self.device)
        except (OSError, ImportError) as error:  # no network, not in the cache, not installed
            self.missing[metric] = str(error).splitlines()[0]
            return None

    @torch.inference_mode()
    def against_target(self, edited: Image.Image, target: Image.Image) -> dict[str, float | None]:
        """MagicBrush's metrics (evaluation/image_eval.py): distances at the target's size, cosines of embeddings."""
        resized = edited.resize(target.size)
        difference = _array(resized) - _array(target)
        figures = {"l1": float(np.abs(difference).mean()), "l2": float(np.square(difference).mean())}
        clip_i = None if self.clip is None else _cosine(self._clip_picture(edited), self._clip_picture(target))
        dino = None if self.dino is None else _cosine(self._dino(edited), self._dino(target))
        return figures | {"clip_i": clip_i, "dino": dino}

    @torch.inference_mode()
    def clip_t(self, edited: Image.Image, caption: str) -> float | None:
        """Cosine of the edit's CLIP embedding and that of the wanted picture's caption."""
        if self.clip is None:
            return None
        tokens = self.tokenizer(caption, truncation=True, max_length=77, return_tensors="pt").to(self.device)
        return _cosine(self._clip_picture(edited), self.clip.get_text_features(**tokens))

    @torch.inference_mode()
    def outside(self, edited: Image.Image, source: Image.Image, mask: Image.Image) -> dict[str, float | None]:
        """PIE-Bench's metrics of the part that is not to change (evaluation/matrics_calculator.py).

        Both pictures are made black inside the mask and then compared as a whole. The structural similarity is the
        Gaussian one. Where nothing is outside, all are None.
        """
        keep = np.asarray(mask.convert("L").resize(source.size, Image.Resampling.NEAREST))[..., None] < 128
        if not keep.any():
            return dict.fromkeys(OUTSIDE)
        a, b = _array(edited.resize(source.size)) * keep, _array(source) * keep
        with np.errstate(divide="ignore"):  # the same to the last bit: infinite, as in that code
            psnr = float(peak_signal_noise_ratio(b, a, data_range=1.0))
        gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        return {
            "psnr": psnr,
            "ssim": float(structural_similarity(a, b, data_range=1.0, channel_axis=-1, **gaussian)),
            "lpips": None if self.lpips is None else self.lpips(self._batch(a) * 2 - 1, self._batch(b) * 2 - 1).item(),
            "structure": None if self.structure is None else F.mse_loss(self._structure(a), self._structure(b)).item(),
        }

    def _batch(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).float().permute(2, 0, 1)[None].to(self.device)

    def _clip_picture(self, picture: Image.Image) -> Tensor:
        return self.clip.get_image_features(**self.processor(picture, return_tensors="pt").to(self.device))

    def _dino(self, picture: Image.Image) -> Tensor:
        """The class token [1, C]."""
        resize = v2.Compose([v2.Resize(256, v2.InterpolationMode.BICUBIC), v2.CenterCrop(224)])
        batch = IMAGENET(self._batch(_array(resize(picture))))
        return self.dino(batch, interpolate_pos_encoding=True).last_hidden_state[:, 0]

    def _structure(self, pixels: np.ndarray) -> Tensor:
        """Cosines of the last layer's keys with each other [N, N] (arXiv 2201.00424).

        PIE-Bench's code normalises pixels of 0 to 255 as if they were 0 to 1; so does this, to be comparable.
        """
        model, keys = self.structure, []
        layer = model.encoder.layer[-1].attention.attention.key
        hook = layer.register_forward_hook(lambda module, given, output: keys.append(output[0]))
        try:
            batch = v2.Resize(224, max_size=480)(self._batch(pixels * 255))
            model(IMAGENET(batch), interpolate_pos_encoding=True)
        finally:
            hook.remove()
        unit = F.normalize(keys[0], dim=-1)
        return unit @ unit.T


def region_iou(found: Image.Image, mask: Image.Image) -> float:
    """Intersection over union of two regions, at the size of the second; 0 when both are empty."""
    a = np.asarray(found.convert("L").resize(mask.size, Image.Resampling.NEAREST)) >= 128
    b = np.asarray(mask.convert("L")) >= 128
    return float((a & b).sum() / max(1, (a | b).sum()))


def _lpips(trained: bool) -> torch.nn.Module:
    import lpips

    return lpips.LPIPS(net="squeeze", pretrained=trained, pnet_rand=not trained, verbose=False)


def _cosine(a: Tensor, b: Tensor) -> float:
    return F.cosine_similarity(a, b).item()


def _array(picture: Image.Image) -> np.ndarray:
    """float32 [H, W, 3] in [0, 1]."""
    return np.asarray(picture.convert("RGB"), np.float32) / 255
