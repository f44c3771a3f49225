"""Whole edits at the published setting, given by seeds, that the published code and the pack both run."""

import importlib
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch

from demo.host import pack_module
from editing import Edit, edit

CODE = "enisimsar/LIME, commit e30ccca"
HEADS = 8  # the published code takes no other number
CHANNELS, CONTEXT = 32, 32
PROBE_SCALES, EDIT_SCALES = (5.5, 1.5), (2.0, 1.5)  # of text and image, from the published notebook
TOP_K = 1  # of the published notebook
GRID = (128, 128)


class Case(NamedTuple):
    """One edit of the chain: words, record, segments, region, regularised edit."""

    side: int  # of the latent, in pixels
    steps: int  # the notebook's 30, or fewer
    text: str
    tags: tuple[str, ...]  # of start token, pieces and end token: they stand in for NLTK's tagger

    @property
    def recorded(self) -> int:
        """Steps of the first pass that are recorded, of which the last one counts: 11 of 30."""
        return round(11 * self.steps / 30)

    @property
    def regularized(self) -> int:
        """Steps of the second pass that are regularised: 27 of 30."""
        return 27 * self.steps // 30

    @property
    def verbs(self) -> frozenset[int]:
        return frozenset(i for i, tag in enumerate(self.tags) if tag.startswith("VB"))


CASES = {  # by the picture's pixels each way
    192: Case(24, 30, "make her outfit black", ("NN", "VBP", "PRP$", "NN", "JJ", "NN")),
    # "croche" and "ted" of one word, of which a tagger takes the second for a verb, and the end token too.
    256: Case(32, 30, "make the hat crocheted, please", ("NN", "VBP", "DT", "NN", "NN", "VBD", ",", "NN", "VB")),
    512: Case(64, 4, "turn the sky into a starry night", ("NN", "VBP", "DT", "NN", "IN", "DT", "JJ", "NN", "NN")),
}


def make_edit(host, case: Case) -> Edit:
    """The edit on a small random model, with the noise levels of the published scheduler."""
    size, steps = (case.side, case.side), case.steps
    this = edit(host, heads=HEADS, channels=CHANNELS, context=CONTEXT, size=size, steps=steps, published=True)
    times = [1000 // steps * i + 1 for i in reversed(range(steps))]  # "leading": whole, as the host rounds them
    this.sigmas = torch.cat([this.model.get_model_object("model_sampling").sigmas[times], torch.zeros(1)])
    this.scales = PROBE_SCALES
    return this


def clip_of(host):
    """A CLIP of the host's, whose tokenizer is of the class that the published code uses."""
    return host.lime.LIMEDemoModel.execute()[1]


def run_pack(host, case: Case, starts: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """All that is compared, from the pack's nodes in the real host.

    starts: pixels that K-means begins with. labels: the published segments, which the region is found in: where the
    pack's are compared and differ by rounding, the rest of the chain would be another edit's.
    """
    attention = importlib.import_module("comfy.ldm.modules.attention")
    with mock.patch.object(attention, "optimized_attention", attention.attention_pytorch):  # a GPU's, and the fastest
        return _run_pack(host, case, starts, labels)


def _run_pack(host, case: Case, starts: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    this = make_edit(host, case)
    scale = this.model.model.latent_format.scale_factor  # the host hands out latents divided by it
    instruction = host.lime.LIMEInstruction.execute(clip_of(host), case.text, "published", [[this.text, {}]])[1]
    tokens = pack_module("nodes.hooks.text_columns").choose_words(instruction, verbs=case.verbs)
    probe = this.probe(steps=0, instruction=instruction)
    capture = probe[0]
    segments = host.sockets.Segments(torch.from_numpy(labels).long()[None], capture)
    mask = host.lime.LIMEAttentionRoI.execute(capture, segments, tokens, top_k=TOP_K)[0]
    got = {f"attention_{i}": layer[0] for i, layer in enumerate(capture.attention)}
    got |= {f"gram_{h}x{w}": products[0] for products, (h, w), _ in capture.grams}
    columns = [list(tokens.locating)]
    averaged = host.ops.average_attention(list(capture.attention), columns, GRID, align_corners=True)
    pixels = grid_features(capture)
    got |= {"averaged": averaged[0], "labels": segment(pixels, starts), "roi": mask[0]}
    got["variances"] = torch.stack([variance_within(pixels, each) for each in (got["labels"], segments.labels[0])])
    got["plain"] = this.finish(probe) * scale
    this.scales = EDIT_SCALES
    calls = []
    handle = this.model.model.diffusion_model.register_forward_hook(lambda *args: calls.append(args[-1]))
    got["regularized"] = this.sample(this.regularize(mask, tokens, end=host.ops.PUBLISHED.end_percent)) * scale
    handle.remove()
    got["regularized_call"] = calls[0]
    return {name: value.detach().numpy() for name, value in got.items()}


def grid_features(capture):
    """The recorded features on the published code's grid."""
    grams = [gram._replace(products=gram.products[0]) for gram in capture.grams]
    return pack_module("lime_ops.clustering").GramFeatures.of(grams, GRID, align_corners=True)


def segment(pixels, starts: np.ndarray) -> torch.Tensor:
    """Labels of the grid [128, 128] by the pack's K-means from these pixels."""
    return pack_module("lime_ops.clustering").lloyd(pixels, starts.tolist())


def variance_within(pixels, labels: torch.Tensor) -> torch.Tensor:
    """What K-means minimises: the mean squared distance of unit-length pixels to their segment's mean."""
    members = torch.nn.functional.one_hot(labels).movedim(-1, 0).float()
    shares = members.mean((1, 2))
    means = pixels.means(members / members.sum((1, 2)).clamp_min(1)[:, None, None])
    return (pixels.scale > 0).float().mean() - (shares * means.squared_lengths()).sum()


def thin(name: str, value: np.ndarray) -> np.ndarray:
    """What is kept and compared: 12 pixels of layers' maps; of pictures as many rows and columns as are said here."""
    value = np.asarray(value)
    if name.startswith(("attention_", "features_")):
        flat = value.reshape(-1, value.shape[-1])
        return flat[_some(len(flat))]
    if name.startswith("gram_"):
        return value[_some(len(value))][:, _some(len(value))]
    if name == "averaged":
        return value[::2, ::2]
    if name in ("plain", "regularized", "regularized_call"):
        every = -(-value.shape[-1] // (16 if name == "regularized_call" else 32))
        return value[..., ::every, ::every]
    return value


def _some(pixels: int) -> np.ndarray:
    return np.linspace(0, pixels - 1, 12).astype(int)


def with_grams(published: dict[str, np.ndarray], sizes: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    """The published results, each layer's features replaced by what the pack keeps: inner products of pixels.

    sizes: of each layer's attention map; every layer has two feature maps, of self- and of cross-attention.
    """
    result = {name: value for name, value in published.items() if not name.startswith("features_")}
    for i, (h, w) in enumerate(size for size in sizes for _ in range(2)):
        features = published[f"features_{i}"].astype(np.float64)
        features = features.reshape(-1, features.shape[-1])
        result[f"gram_{h}x{w}"] = result.get(f"gram_{h}x{w}", 0) + features @ features.T
    return result


def in_picture(roi: np.ndarray, side: int) -> np.ndarray:
    """The published region [128, 128] in a picture of side x side, by the nearest pixel."""
    source = np.arange(side) * len(roi) // side
    return roi[source][:, source]
