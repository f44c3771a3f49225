"""One small edit, given by seeds, that the published code and the pack both run; and what is compared of it."""

import numpy as np
import torch

from editing import Edit, edit

CODE = "enisimsar/LIME, commit e30ccca"
HEADS, STEPS, LAST_RECORDED, LAST_REGULARIZED = 8, 30, 10, 26
TIME_STEPS = [33 * i + 1 for i in reversed(range(STEPS))]  # "leading" spacing: whole numbers, which the host rounds to
PROBE_SCALES, EDIT_SCALES = (5.5, 1.5), (2.0, 1.5)  # of text and image, from the published notebook
LOCATING, ACTING = (3, 4, 5), (1, 3, 4, 5)  # of "make the hat red": hat, red, end token; make may act
TOP_K = 1  # of the published notebook
CHANNELS, CONTEXT = 32, 32


def make_case(host, side: int) -> Edit:
    """An edit with side x side latents on a random model with 8 heads, which the published code demands."""
    case = edit(host, heads=HEADS, channels=CHANNELS, context=CONTEXT, size=(side, side), steps=STEPS, published=True)
    case.sigmas = torch.cat([case.model.get_model_object("model_sampling").sigmas[TIME_STEPS], torch.zeros(1)])
    case.scales = PROBE_SCALES
    return case


def run_pack(host, case: Edit, labels: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """All that is compared, from the pack's nodes in the real host. `labels`: segments to find the region in."""
    from lime_ops import average_attention, select_roi

    scale = case.model.model.latent_format.scale_factor  # the host hands out latents divided by it
    got = {"plain": case.sample() * scale}
    capture = case.probe(steps=LAST_RECORDED + 1)[0]
    maps = capture.attention
    got |= {f"attention_{i}": m[0] for i, m in enumerate(maps)}
    got |= {f"gram_{h}x{w}": products[0] for products, (h, w), _ in capture.grams}
    got["averaged"] = average_attention(list(maps), [list(LOCATING)], (128, 128), align_corners=True)[0]
    if labels is not None:
        roi = select_roi(torch.from_numpy(labels).long()[None], got["averaged"][None], TOP_K)
        got["roi"] = roi[0]
        case.scales = EDIT_SCALES
        model = case.regularize(roi.float(), tokens=case.tokens_of(ACTING), end=0.9)
        calls = []
        unet = case.model.model.diffusion_model
        handle = unet.register_forward_hook(lambda module, inputs, output: calls.append(output))
        got["regularized"] = case.sample(model) * scale
        handle.remove()
        got["regularized_call"] = calls[0]
        case.scales = PROBE_SCALES
    return {name: value.detach().numpy() for name, value in got.items()}


def thin(name: str, value: np.ndarray) -> np.ndarray:
    """What is kept and compared: large maps at 12 pixels, the averaged attention at every other one."""
    value = np.asarray(value)
    if name == "averaged":
        return value[::2, ::2]
    if name.startswith(("attention_", "features_", "fused")):
        flat = value.reshape(-1, value.shape[-1])
        return flat[_some(len(flat))]
    if name.startswith("gram_"):
        return value[_some(len(value))][:, _some(len(value))]
    return value


def _some(pixels: int) -> np.ndarray:
    return np.linspace(0, pixels - 1, 12).astype(int)


def with_grams(published: dict[str, np.ndarray], sizes: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    """The published results, each layer's features replaced by what the pack keeps: inner products of pixels.

    sizes: of each layer's attention map; every layer has two feature maps, of self- and of cross-attention.
    """
    result = {name: value for name, value in published.items() if not name.startswith(("features_", "fused"))}
    for i, (h, w) in enumerate(size for size in sizes for _ in range(2)):
        features = published[f"features_{i}"].astype(np.float64)
        features = features.reshape(-1, features.shape[-1])
        result[f"gram_{h}x{w}"] = result.get(f"gram_{h}x{w}", 0) + features @ features.T
    return result
