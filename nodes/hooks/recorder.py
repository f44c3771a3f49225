"""Sampling the first steps of an edit, and recording what the model attends to there."""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from comfy.samplers import CFGGuider, Sampler
from comfy_api.latest import io
from torch import Tensor

from ...lime_ops import Settings, attention_probabilities
from ..sockets import Capture, Instruction
from . import KEY
from .conditionings import carries_text, check_instruction, rows_by_conditioning
from .families import Call, UNet, family_of

Layer = tuple[Any, str]  # (block, which of its attention layers)


def probe(
    guider: CFGGuider,
    noise: io.Noise.Type,
    sampler: Sampler,
    sigmas: Tensor,
    latent: dict,
    image: Tensor | None,
    instruction: Instruction,
    settings: Settings,
) -> tuple[Capture, dict]:
    """Samples the first `settings.steps` of a schedule: (what was recorded, the noisy LATENT to continue from).

    image: IMAGE [1 or B, H, W, 3] that is edited, None: grey. Raises ValueError, before anything is sampled, when the
    model has no attention to record, the schedule is too short, the image does not fit the latent or the guider does
    not sample the instruction.
    """
    if not 1 <= settings.steps < len(sigmas):
        raise ValueError(
            f"steps is {settings.steps} but the schedule has {max(len(sigmas) - 1, 0)} steps: "
            "give LIME Probe the whole schedule, or fewer steps."
        )
    model = guider.model_patcher
    family = family_of(model)
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    latent, sigmas = {**latent, "samples": samples}, sigmas[: settings.steps + 1]
    picture = _picture(image, samples, family.pixels)
    check_instruction(instruction.embedding, guider.original_conds)
    recorder = Recorder(family, instruction, settings, sigmas)
    guider = copy.copy(guider)
    guider.model_patcher = model.clone()
    guider.model_patcher.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, recorder.predict_noise)
    noisy = _sample(guider, noise, sampler, sigmas, latent)
    latent_size = tuple(samples.shape[-2:])
    capture = Capture(instruction, recorder.attention(), recorder.features(), latent_size, picture)
    return capture, {**latent, "samples": noisy}


def _picture(image: Tensor | None, samples: Tensor, pixels: int) -> Tensor:
    """The picture to draw on, [B, H, W, 3]; grey without one. Raises ValueError when it does not fit the latent."""
    batch, (h, w) = samples.shape[0], samples.shape[-2:]
    if image is None:
        return torch.full((batch, h * pixels, w * pixels, 3), 0.5)
    height, width = image.shape[1:3]
    if image.shape[0] not in (1, batch) or abs(height / h - width / w) >= 1:
        raise ValueError(
            f"image is {image.shape[0]} x {width}x{height} but the latent is {batch} x {w}x{h}: "
            "expected the picture that the latent was made from."
        )
    return image[..., :3].expand(batch, -1, -1, -1)


def _sample(guider: CFGGuider, noise: io.Noise.Type, sampler: Sampler, sigmas: Tensor, latent: dict) -> Tensor:
    """As SamplerCustomAdvanced does, with its progress bar and preview."""
    callback = latent_preview.prepare_callback(guider.model_patcher, len(sigmas) - 1)
    samples = guider.sample(
        noise.generate_noise(latent),
        latent["samples"],
        sampler,
        sigmas,
        denoise_mask=latent.get("noise_mask"),
        callback=callback,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=noise.seed,
    )
    return samples.to(comfy.model_management.intermediate_device())


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


class Recorder:
    """Records the last evaluation of the steps it is given, or the mean over their last ones.

    Attention comes from the conditioning that carries the instruction, features from the branch that carries the
    picture but not the instruction (published: image branch). Where no such branch is evaluated (BasicGuider, or both
    guidance scales at 1), features come from the instruction's own.
    """

    def __init__(self, family: UNet, instruction: Instruction, settings: Settings, sigmas: Tensor) -> None:
        steps = len(sigmas) - 1
        first = int(steps * (1 - settings.mean_share)) if settings.mean_share else steps - 1
        self.first, self.last = sigmas[first].item(), sigmas[steps].item()  # records last < sigma <= first
        self.family, self.instruction, self.settings = family, instruction, settings
        self._attention: dict[Any, _Sum] = {}  # by block
        self._features: dict[Layer, _Sum] = {}

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper."""
        if not self.last < timestep.max().item() <= self.first:
            return executor(x, timestep, model_options, seed)
        conds = {name: cond for name, cond in executor.class_obj.conds.items() if cond}
        now = _Evaluation(self.family, self.settings, self.instruction.embedding.shape[1], *self._branches(conds))
        options = self.family.with_attention(model_options, now.attend)
        result = executor(x, timestep, self.family.with_output(options, now.output), seed)
        self._keep(self._attention, now.attention)
        self._keep(self._features, {layer: value for layer, (_, value) in now.features.items()})
        return result

    def _branches(self, conds: dict[str, list[dict]]) -> tuple[set, dict[Any, int]]:
        """uuids of the conditionings that carry the instruction; the rank of each as a source of features, 0 best."""

        def rank(name: str, cond: dict) -> int:
            if name == "positive":
                return 2
            return 0 if self.family.source(cond) is not None else 1

        everything = [(name, c) for name, cond in conds.items() for c in cond]
        instructs = {c["uuid"] for _, c in everything if carries_text(c, self.instruction.embedding)}
        return instructs, {c["uuid"]: rank(name, c) for name, c in everything}

    def _keep(self, store: dict, new: dict) -> None:
        device = comfy.model_management.intermediate_device()
        for key, value in new.items():
            value = value.to(device, torch.float32)
            if self.settings.mean_share and key in store:
                store[key].add(value)
            else:
                store[key] = _Sum(value)

    def attention(self) -> tuple[Tensor, ...]:
        """A layer each, [B, h_i, w_i, T]. Raises RuntimeError when the instruction was not evaluated."""
        if not self._attention:
            raise RuntimeError(
                "no attention was recorded: the instruction's conditioning was not evaluated in the probe's last step. "
                "Check its time-step range, or raise steps."
            )
        return tuple(self._attention[block].mean() for block in self.family.blocks if block in self._attention)

    def features(self) -> tuple[Tensor, ...]:
        """A layer each, [B, h_i, w_i, C_i]."""
        layers = ((block, kind) for block in self.family.blocks for kind in self.family.KINDS)
        return tuple(self._features[layer].mean() for layer in layers if layer in self._features)


@dataclass
class _Evaluation:
    """The maps of one evaluation of the guider, gathered over the batches that the host splits it into."""

    family: UNet
    settings: Settings
    tokens: int  # of the instruction
    instructs: set
    ranks: dict[Any, int]
    attention: dict[Any, Tensor] = field(default_factory=dict)
    features: dict[Layer, tuple[int, Tensor]] = field(default_factory=dict)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, call: Call, attention: Any) -> Tensor:
        if self.family.recorded(call, self.settings):
            for uuid, rows in rows_by_conditioning(q.shape[0], call.uuids):
                if uuid in self.instructs:
                    probabilities = attention_probabilities(q[rows], k[rows], call.heads)
                    self.attention[call.block] = _fold_repeats(probabilities, self.tokens).unflatten(1, call.size)
        return attention(q, k, v)

    def output(self, n: Tensor, call: Call, kind: str) -> None:
        if not self.family.recorded(call, self.settings):
            return
        layer = (call.block, kind)
        for uuid, rows in rows_by_conditioning(n.shape[0], call.uuids):
            rank = self.ranks.get(uuid, math.inf)
            if rank < self.features.get(layer, (math.inf,))[0]:
                self.features[layer] = (rank, n[rows].clone().unflatten(1, call.size))


def _fold_repeats(probabilities: Tensor, tokens: int) -> Tensor:
    """[B, N, r * T] -> [B, N, T]: the host repeats a short text to the length of the longest in the batch."""
    if probabilities.shape[-1] % tokens:
        raise ValueError(
            f"cross-attention has {probabilities.shape[-1]} text tokens where the instruction has {tokens}: another "
            "node adds tokens of its own to the attention (attn2 patch). LIME cannot tell them apart; bypass that node."
        )
    return probabilities.unflatten(-1, (-1, tokens)).sum(-2)
