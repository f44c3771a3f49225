"""Sampling the first steps of an edit, and recording what the model attends to there."""

import copy
import math
from collections.abc import Callable
from threading import Lock
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from comfy.samplers import CFGGuider, Sampler
from comfy_api.latest import io
from einops import reduce
from torch import Tensor

from ...lime_ops import FeatureGram, Settings, attention_probabilities, feature_grams, pool_map
from ..sockets import Capture, Instruction
from . import KEY
from .checks import check_channels, check_latent, check_steps
from .conditionings import carries_text, check_instruction, check_whole, fits, rows_by_conditioning
from .families import Call, UNet, family_of, latent_pixels

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
    model has no attention to record or guider, schedule, latent, image and instruction do not belong together.
    """
    model = guider.model_patcher
    family, pixels, conds = family_of(model), latent_pixels(model), guider.original_conds
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    latent = {**latent, "samples": samples}
    check_steps(sigmas, settings.steps)
    check_latent(latent, family, pixels, settings)
    check_instruction(instruction.embedding, conds)
    check_whole(conds)
    check_channels(family, conds, samples)
    picture = _picture(image, samples, pixels)
    sigmas = sigmas[: settings.steps + 1]
    recorder = Recorder(family, instruction, settings, sigmas)
    guider = copy.copy(guider)
    guider.model_patcher = model.clone()
    guider.model_patcher.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, recorder.predict_noise)
    noisy = _sample(guider, noise, sampler, sigmas, latent, recorder.finish_step)
    capture = Capture(instruction, *recorder.maps(), tuple(samples.shape[-2:]), picture)
    return capture, {**latent, "samples": noisy}


def _picture(image: Tensor | None, samples: Tensor, pixels: int) -> Tensor:
    """The picture to draw on, [B, H, W, 3]; grey without one. Raises ValueError when it does not fit the latent."""
    batch, (h, w) = samples.shape[0], samples.shape[-2:]
    if image is None:
        return torch.full((batch, h * pixels, w * pixels, 3), 0.5)
    height, width = image.shape[1:3]
    if image.shape[0] not in (1, batch) or not fits((height, width), (h, w)):
        raise ValueError(
            f"image is {image.shape[0]} x {width}x{height} but the latent is of {batch} x {w * pixels}x{h * pixels} "
            "pixels (width x height): expected the picture that the latent was made from."
        )
    return image[..., :3].expand(batch, -1, -1, -1)


def _sample(
    guider: CFGGuider, noise: io.Noise.Type, sampler: Sampler, sigmas: Tensor, latent: dict, finish_step: Callable
) -> Tensor:
    """As SamplerCustomAdvanced does, with its progress bar and preview."""
    show = latent_preview.prepare_callback(guider.model_patcher, len(sigmas) - 1)

    def callback(step: int, *args: Any) -> None:
        finish_step(step)
        show(step, *args)

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


class Recorder:
    """Records the last evaluation of the steps it is given, or the mean over their last ones.

    Attention comes from the conditioning that carries the instruction, features from the branch that carries the
    picture but not the instruction (published: image branch). Where no such branch is evaluated (BasicGuider, or both
    guidance scales at 1), features come from the instruction's own.
    """

    def __init__(self, family: UNet, instruction: Instruction, settings: Settings, sigmas: Tensor) -> None:
        steps = len(sigmas) - 1
        self.first_step = int(steps * (1 - settings.mean_share)) if settings.mean_share else steps - 1
        self.first, self.last = sigmas[self.first_step].item(), sigmas[steps].item()  # records last < sigma <= first
        self.family, self.instruction, self.settings = family, instruction, settings
        self._steps = 0  # finished
        self._count = 0  # evaluations in the sums below; without a mean the newest alone is kept
        self._attention: dict[Any, Tensor] = {}  # by block
        self._features: dict[Layer, Tensor] = {}  # for a mean: its Gram matrices are not the mean of Gram matrices
        self._grams: tuple[FeatureGram, ...] = ()

    def finish_step(self, step: int) -> None:
        """To be called after each step of the sampler."""
        self._steps = step + 1

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper. Waits for the device in the recorded steps only."""
        if self._steps < self.first_step or not self.last < timestep.max().item() <= self.first:
            return executor(x, timestep, self.family.with_text_check(model_options), seed)
        conds = {name: cond for name, cond in executor.class_obj.conds.items() if cond}
        now = _Evaluation(self.family, self.settings, self.instruction.embedding.shape[1], *self._branches(conds))
        options = self.family.with_attention(model_options, now.attend)
        result = executor(x, timestep, self.family.with_output(options, now.output), seed)
        self._keep(now)
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

    def _keep(self, now: "_Evaluation") -> None:
        if not now.attention:
            return
        features, grams = now.best_features()
        attention, grams = _transfer(now.attention, grams)
        if self.settings.mean_share and self._count:
            for sums, new in ((self._attention, attention), (self._features, features)):
                for key, value in new.items():
                    sums[key] += value
            self._count += 1
        else:
            self._attention, self._features, self._grams, self._count = attention, features, grams, 1

    def maps(self) -> tuple[tuple[Tensor, ...], tuple[FeatureGram, ...]]:
        """(attention, a layer each, [B, h_i, w_i, T]; Gram matrices of the features, a size each).

        Raises RuntimeError when the instruction was not evaluated.
        """
        if not self._count:
            raise RuntimeError(
                "no attention was recorded: in the probe's last step the model was not evaluated with the instruction. "
                "Either its conditioning has a time-step range that ends before, or a node skips evaluations there "
                "(EasyCache and its kin), or the sampler does not follow the schedule (dpm_fast, dpm_adaptive): change "
                "that, or raise steps."
            )
        layers = [self._features[layer] / self._count for layer in self._layers() if layer in self._features]
        grams = _transfer({}, tuple(feature_grams(layers)))[1] if layers else self._grams
        blocks = (block for block in self.family.blocks if block in self._attention)
        return tuple(self._attention[block] / self._count for block in blocks), grams

    def _layers(self) -> list[Layer]:
        return [(block, kind) for block in self.family.blocks for kind in self.family.KINDS]


class _Evaluation:
    """The maps of one evaluation of the guider, gathered over the batches that the host splits it into.

    What comes first counts: guidance that perturbs the model evaluates it again. 0.33 evaluates batches on several GPUs
    in threads, hence the lock.
    """

    def __init__(self, family: UNet, settings: Settings, tokens: int, instructs: set, ranks: dict[Any, int]) -> None:
        self.family, self.settings, self.tokens = family, settings, tokens
        self.instructs, self.ranks = instructs, ranks
        self.attention: dict[Any, Tensor] = {}
        self._features: dict[float, dict[Layer, Tensor]] = {}  # by rank; empty tensors where Gram matrices are enough
        self._grams: dict[float, dict[tuple[int, int], FeatureGram]] = {}  # by rank and size
        self._lock = Lock()

    def attend(self, q: Tensor, k: Tensor, v: Tensor, call: Call, attention: Any) -> Tensor:
        if self.family.recorded(call.size, call.latent, self.settings):
            for uuid, rows in rows_by_conditioning(q.shape[0], call.uuids):
                if uuid in self.instructs and call.block not in self.attention:
                    probabilities = attention_probabilities(q[rows], k[rows], call.heads)[..., : call.tokens]
                    folded = reduce(probabilities, "b n (times t) -> b n t", "sum", t=self.tokens)
                    self.attention[call.block] = pool_map(folded.unflatten(1, call.size))
        return attention(q, k, v)

    def output(self, n: Tensor, call: Call, kind: str) -> None:
        if not self.family.recorded(call.size, call.latent, self.settings):
            return
        branches = [(self.ranks.get(uuid, math.inf), rows) for uuid, rows in rows_by_conditioning(len(n), call.uuids)]
        rank, rows = min(branches, key=lambda branch: branch[0])
        layer = (call.block, kind)
        with self._lock:
            features = self._features.setdefault(rank, {})
            if rank == math.inf or layer in features:
                return
            here = pool_map(n[rows].float().unflatten(1, call.size))
            if self.settings.mean_share:
                features[layer] = here.clone()
            else:
                features[layer] = here.new_empty(0)
                grams, size = self._grams.setdefault(rank, {}), (here.shape[1], here.shape[2])
                grams[size] = _add(grams.get(size), here.flatten(1, 2), size)

    def best_features(self) -> tuple[dict[Layer, Tensor], tuple[FeatureGram, ...]]:
        """Of the best branch that was evaluated: (features, Gram matrices); one of the two is empty."""
        rank = min(self._features)
        if self.settings.mean_share:
            return self._features[rank], ()
        return {}, tuple(self._grams[rank].values())


def _add(gram: FeatureGram | None, features: Tensor, size: tuple[int, int]) -> FeatureGram:
    """The Gram matrix of one more layer's features [B, n, C]."""
    if gram is None:
        return FeatureGram(features @ features.mT, size, features.shape[-1])
    products = torch.baddbmm(gram.products, features, features.mT)
    return FeatureGram(products, size, gram.channels + features.shape[-1])


def _transfer(
    attention: dict[Any, Tensor], grams: tuple[FeatureGram, ...]
) -> tuple[dict[Any, Tensor], tuple[FeatureGram, ...]]:
    """Both on the host's intermediate device, in one copy."""
    tensors = [*attention.values(), *(g.products for g in grams)]
    device = comfy.model_management.intermediate_device()
    if all(t.device == device for t in tensors):
        return attention, grams
    parts = torch.cat([t.flatten().to(tensors[0].device) for t in tensors]).to(device)
    there = [part.view(t.shape) for part, t in zip(parts.split([t.numel() for t in tensors]), tensors, strict=True)]
    maps = dict(zip(attention, there, strict=False))
    return maps, tuple(g._replace(products=p) for g, p in zip(grams, there[len(maps) :], strict=True))
