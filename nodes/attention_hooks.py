"""ComfyUI's model-patching hooks turned into records, and the regularisation hung into them.

The only module that knows block ids, the order of rows in a batch, transformer_options and sampling steps. Both the
recorder and the regulariser are PREDICT_NOISE wrappers: at every evaluation they add hooks to that evaluation's own
copy of model_options, so nothing outlives it, whatever other packs have patched is called underneath, and the order
of patch nodes in a graph does not matter.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import comfy.model_management
import comfy.model_patcher
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrapperExecutor
from torch import Tensor

from ..lime_ops import attention_probabilities, cover_region, regularized_attention, resize_region
from .sockets import InstructionAttention

KEY = "lime"  # of our wrappers on a model

Block = tuple[str, int, int]  # ("input" | "middle" | "output", number, transformer index)
Attention = Callable[[Tensor, Tensor, Tensor, dict], Tensor]  # (q, k, v, extra) -> [B, N, C]

FINEST_RECORDED = 64 * 64  # layers of this many pixels or more are not recorded (published: pipeline.py, 64 ** 2)
# Nor are those of fewer than this: they outline nothing, and their many channels would outvote the rest.
COARSEST_RECORDED = 8 * 8


def cross_attention_blocks(model: comfy.model_patcher.ModelPatcher) -> list[Block]:
    """Ids of the model's cross-attention blocks in the published order: down, up, mid.

    Raises ValueError when the model has none that ComfyUI's attention hooks reach.
    """
    unet = model.get_model_object("diffusion_model")
    parts = {
        "input": getattr(unet, "input_blocks", []),
        "output": getattr(unet, "output_blocks", []),
        "middle": [getattr(unet, "middle_block", [])],
    }
    blocks = [
        (part, number, index)
        for part, layers in parts.items()
        for number, layer in enumerate(layers)
        for module in layer
        for index, transformer in enumerate(getattr(module, "transformer_blocks", []))
        if getattr(transformer, "attn2", None) is not None
    ]
    if not blocks:
        raise ValueError(
            f"{type(unet).__name__} has no cross-attention: LIME expected a UNet of the SD1.5 or SDXL kind "
            "(InstructPix2Pix, CosXL Edit). Load such a checkpoint."
        )
    return blocks


def carries(embedding: Tensor, conditioning: dict) -> bool:
    """True when this conditioning is the text that `embedding` [1, T, C] stands for."""
    text = conditioning.get("cross_attn")
    if text is None or text.shape != embedding.shape:
        return False
    return text is embedding or torch.equal(text, embedding.to(text))


def chunks(batch: int, uuids: list) -> Iterator[tuple[Any, slice]]:
    """The rows of each conditioning in a batch that the host put together: (uuid, rows)."""
    size = batch // len(uuids)
    for i, uuid in enumerate(uuids):
        yield uuid, slice(i * size, (i + 1) * size)


def coarsest(latent: tuple[int, int]) -> int:
    """Pixels of the coarsest layer that counts: a quarter of the latent each way (16x16 at 512 px)."""
    return math.ceil(latent[0] / 4) * math.ceil(latent[1] / 4)


def recorded(size: tuple[int, int], latent: tuple[int, int], published: bool) -> bool:
    """Whether a layer of this size counts for the region. Published: pipeline.py, AttentionStore and attn_res."""
    floor = coarsest(latent) if published else max(coarsest(latent), COARSEST_RECORDED)
    return floor <= math.prod(size) < FINEST_RECORDED


def regularized(size: tuple[int, int], latent: tuple[int, int], published: bool) -> bool:
    """Whether a layer of this size is regularised. Published: pipeline.py, AttentionProcessor, `res > 16`."""
    return math.isqrt(math.prod(size)) > 16 if published else math.prod(size) > coarsest(latent)


def host_attention(q: Tensor, k: Tensor, v: Tensor, extra: dict) -> Tensor:
    return optimized_attention(
        q, k, v, extra["n_heads"], attn_precision=extra["attn_precision"], transformer_options=extra
    )


def with_attention(model_options: dict, blocks: list[Block], around: Callable[..., Tensor]) -> dict:
    """A copy of model_options whose cross-attention goes through `around(q, k, v, extra, attention)`.

    `attention` is what stood there before: another pack's replacement, or the host's attention.
    """
    options = comfy.model_patcher.create_model_options_clone(model_options)
    replace = options["transformer_options"].setdefault("patches_replace", {}).setdefault("attn2", {})
    for block in blocks:
        before = replace.get(block, replace.get(block[:2], host_attention))
        replace[block] = partial(around, attention=before)
    return options


def check_fit(region: Tensor, embedding: Tensor, noise: Tensor, conds: dict[str, list[dict]]) -> None:
    """Raises ValueError unless the region [B, H, W] fits what is sampled and its instruction is among it."""
    images, (h, w) = noise.shape[0], noise.shape[-2:]
    batch, height, width = region.shape
    if batch not in (1, images):
        raise ValueError(
            f"mask has {batch} images but the latent has {images}: expected one mask, or one for each image."
        )
    if abs(height / h - width / w) >= 1:
        raise ValueError(
            f"mask is {width}x{height} but the latent is {w}x{h}: their shapes differ, so the mask belongs to "
            "another picture. Use a mask of the picture that is sampled (width x height)."
        )
    if not any(carries(embedding, c) for cond in conds.values() for c in cond or []):
        raise ValueError(
            "the tokens belong to another instruction than the one that is sampled: wire tokens and conditioning "
            "from the same LIME Instruction node."
        )


# --- recording -----------------------------------------------------------------------------------------------------


@dataclass
class _Sum:
    """Running sum of a map, for the mean over recorded evaluations."""

    total: Tensor
    count: int = 1

    def add(self, value: Tensor) -> None:
        self.total += value
        self.count += 1

    def mean(self) -> Tensor:
        return self.total / self.count


@dataclass
class Recorder:
    """Records the evaluations with last < sigma <= first: the newest of them, or their mean.

    Attention comes from the positive conditioning, features from the branch that carries the picture but not the
    instruction (published: image branch). Where no such branch is evaluated (BasicGuider, or both guidance scales
    at 1), features come from the instruction's own.
    """

    blocks: list[Block]
    first: float  # sigma
    last: float  # sigma
    mean: bool = False
    published: bool = False  # which layers
    _texts: dict[Any, Tensor] = field(default_factory=dict)  # uuid -> embedding [1, T, C]
    _attention: dict[tuple[Any, Block], _Sum] = field(default_factory=dict)
    _features: dict[tuple[Block, str], _Sum] = field(default_factory=dict)

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper."""
        if not self.last < timestep.max().item() <= self.first:
            return executor(x, timestep, model_options, seed)
        conds = {name: cond for name, cond in executor.class_obj.conds.items() if cond}
        now = _Evaluation(
            texts={c["uuid"]: c["cross_attn"] for c in conds.get("positive", next(iter(conds.values())))},
            preference=_feature_branches(conds),
            published=self.published,
        )
        options = with_attention(model_options, self.blocks, now.cross_attention)
        patches = options["transformer_options"].setdefault("patches", {})
        for kind in ("attn1", "attn2"):
            patches.setdefault(f"{kind}_output_patch", []).append(partial(now.output, kind=kind))
        result = executor(x, timestep, options, seed)
        self._texts.update(now.texts)
        self._keep(self._attention, now.attention)
        self._keep(self._features, {key: value for key, (_, value) in now.features.items()})
        return result

    def _keep(self, store: dict, new: dict) -> None:
        device = comfy.model_management.intermediate_device()
        for key, value in new.items():
            value = value.to(device, torch.float32)
            if self.mean and key in store:
                store[key].add(value)
            else:
                store[key] = _Sum(value)

    def attention(self) -> tuple[InstructionAttention, ...]:
        """Raises RuntimeError when the instruction was not evaluated in the recorded steps."""
        if not self._attention:
            raise RuntimeError(
                "no attention was recorded: the instruction's conditioning was not evaluated in the probe's last step. "
                "Check its time-step range, or raise steps."
            )
        return tuple(
            InstructionAttention(
                text, tuple(self._attention[uuid, b].mean() for b in self.blocks if (uuid, b) in self._attention)
            )
            for uuid, text in self._texts.items()
            if any(key[0] == uuid for key in self._attention)
        )

    def features(self) -> tuple[Tensor, ...]:
        keys = ((block, kind) for block in self.blocks for kind in ("attn1", "attn2"))
        return tuple(self._features[key].mean() for key in keys if key in self._features)


def _feature_branches(conds: dict[str, list[dict]]) -> dict[Any, int]:
    """uuid -> rank of each conditioning as a source of features; 0 is best."""

    def rank(name: str, cond: dict) -> int:
        if name == "positive":
            return 2
        return 0 if "concat_latent_image" in cond else 1

    return {c["uuid"]: rank(name, c) for name, cond in conds.items() for c in cond}


@dataclass
class _Evaluation:
    """The maps of one evaluation of the guider, gathered over the batches that the host splits it into."""

    texts: dict[Any, Tensor]
    preference: dict[Any, int]
    published: bool
    attention: dict[tuple[Any, Block], Tensor] = field(default_factory=dict)
    features: dict[tuple[Block, str], tuple[int, Tensor]] = field(default_factory=dict)

    def recorded(self, extra: dict) -> bool:
        return recorded(_size(extra), extra["original_shape"][-2:], self.published)

    def cross_attention(self, q: Tensor, k: Tensor, v: Tensor, extra: dict, attention: Attention) -> Tensor:
        if self.recorded(extra):
            for uuid, rows in chunks(q.shape[0], extra["uuids"]):
                if uuid in self.texts:
                    probabilities = attention_probabilities(q[rows], k[rows], extra["n_heads"])
                    folded = _fold_repeats(probabilities, self.texts[uuid].shape[1])
                    self.attention[uuid, _block(extra)] = folded.unflatten(1, _size(extra))
        return attention(q, k, v, extra)

    def output(self, n: Tensor, extra: dict, kind: str) -> Tensor:
        if self.recorded(extra):
            key = (_block(extra), kind)
            for uuid, rows in chunks(n.shape[0], extra["uuids"]):
                rank = self.preference.get(uuid, math.inf)
                if rank < self.features.get(key, (math.inf,))[0]:
                    self.features[key] = (rank, n[rows].clone().unflatten(1, _size(extra)))
        return n


def _block(extra: dict) -> Block:
    return (*extra["block"], extra["block_index"])


def _size(extra: dict) -> tuple[int, int]:
    return tuple(extra["activations_shape"][-2:])


def _fold_repeats(probabilities: Tensor, tokens: int) -> Tensor:
    """[B, N, r * T] -> [B, N, T]: the host repeats a short text to the length of the longest in the batch."""
    if probabilities.shape[-1] % tokens:
        raise ValueError(
            f"cross-attention has {probabilities.shape[-1]} text tokens where the instruction has {tokens}: another "
            "node adds tokens of its own to the attention (attn2 patch). LIME cannot tell them apart; bypass that node."
        )
    return probabilities.unflatten(-1, (-1, tokens)).sum(-2)


# --- regularising --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Regularizer:
    """Keeps unrelated tokens of one instruction from speaking inside a region. Hangs on a model clone."""

    blocks: list[Block]
    region: Tensor  # [1 or B, H, W]: bool, or float in [0, 1]
    unrelated: Tensor  # bool [1 or B, T]
    embedding: Tensor  # [1 or B, T, C]
    strength: float
    first: float  # sigma; active while last <= sigma <= first
    last: float
    instruction_only: bool
    published: bool = False  # which layers, and how the region is resized to them
    _regions: dict[tuple[int, int], Tensor] = field(default_factory=dict)  # by size, resized once for all steps

    def outer_sample(self, executor: WrapperExecutor, noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """OUTER_SAMPLE wrapper: refuses what does not fit before anything is sampled."""
        check_fit(self.region, self.embedding, noise, executor.class_obj.conds)
        return executor(noise, *args, **kwargs)

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper."""
        if self.last <= timestep.max().item() <= self.first and self.strength > 0:
            conds = executor.class_obj.conds
            around = partial(self.cross_attention, branches=self._branches(conds))
            model_options = with_attention(model_options, self.blocks, around)
        return executor(x, timestep, model_options, seed)

    def _branches(self, conds: dict[str, list[dict]]) -> set:
        """uuids of the rows to regularise: this instruction's, and those that carry no instruction."""
        return {
            c["uuid"]
            for name, cond in conds.items()
            for c in cond or []
            if carries(self.embedding, c) or (name != "positive" and not self.instruction_only)
        }

    def _region_at(self, size: tuple[int, int]) -> Tensor:
        if size not in self._regions:
            resize = resize_region if self.published else cover_region
            self._regions[size] = resize(self.region, size)
        return self._regions[size]

    def cross_attention(
        self, q: Tensor, k: Tensor, v: Tensor, extra: dict, attention: Attention, branches: set
    ) -> Tensor:
        size = _size(extra)
        if not regularized(size, extra["original_shape"][-2:], self.published):
            return attention(q, k, v, extra)
        uuids = extra["uuids"]
        images = q.shape[0] // len(uuids)
        region = self._region_at(size).flatten(1).to(q.device).expand(images, -1)
        here = torch.cat([region if uuid in branches else torch.zeros_like(region) for uuid in uuids])
        length = math.lcm(k.shape[1], self.unrelated.shape[1])
        unrelated = self.unrelated.repeat(1, length // self.unrelated.shape[1]).expand(images, -1)
        return regularized_attention(
            q,
            k.repeat(1, length // k.shape[1], 1),  # as the host pads; repeating does not change the result
            v.repeat(1, length // v.shape[1], 1),
            extra["n_heads"],
            here,
            unrelated.repeat(len(uuids), 1),
            self.strength,
            attention=lambda q, k, v: attention(q, k, v, extra),
        )
