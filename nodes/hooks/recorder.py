"""Recording what a model attends to, and the features of what it looks at."""

import math
from threading import Lock
from typing import Any

import comfy.model_management
import torch
from comfy.patcher_extension import WrapperExecutor
from einops import reduce
from torch import Tensor

from ...lime_ops import FeatureGram, Settings, add_features, attention_probabilities, feature_grams, pool_map
from ..sockets import Instruction
from .conditionings import carries_text, rows_by_conditioning
from .families import Call, UNet

Layer = tuple[Any, str]  # (block, which of its attention layers)


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
        self._seen: dict[float, set[Layer]] = {}  # by rank, whose features are in one of the two below
        self._features: dict[float, dict[Layer, Tensor]] = {}  # by rank
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
            seen = self._seen.setdefault(rank, set())
            if rank == math.inf or layer in seen:
                return
            seen.add(layer)
            here = pool_map(n[rows].float().unflatten(1, call.size))
            if self.settings.mean_share:
                self._features.setdefault(rank, {})[layer] = here.clone()
            else:
                grams, size = self._grams.setdefault(rank, {}), (here.shape[1], here.shape[2])
                grams[size] = add_features(grams.get(size), here)

    def best_features(self) -> tuple[dict[Layer, Tensor], tuple[FeatureGram, ...]]:
        """Of the best branch that was evaluated: (features, Gram matrices); one of the two is empty."""
        rank = min(self._seen)
        if self.settings.mean_share:
            return self._features[rank], ()
        return {}, tuple(self._grams[rank].values())


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
