"""Recording where the words are at work, the features of what a model looks at, and its early estimate of the edit."""

import math
from collections import Counter
from collections.abc import Hashable
from threading import Lock
from typing import Any, NamedTuple

import comfy.model_management
import torch
from comfy.patcher_extension import WrapperExecutor
from torch import Tensor

from ...lime_ops import (
    FeatureGram,
    Settings,
    add_features,
    attention_among_all,
    attention_probabilities,
    output_similarity,
    pool_map,
)
from ..sockets import Instruction
from .conditionings import carries_text, check_part, rows_by_conditioning
from .families import Call, Family, Size


class Record(NamedTuple):
    """Of one evaluation of the guider, or sums over several."""

    attention: dict[Any, Tensor]  # by the model's map: [B, h_i, w_i, T]
    layers: Counter[Any]  # that each map is the sum of
    grams: dict[Size, FeatureGram]  # of the features of the branch without the instruction
    estimate: Tensor  # of the clean picture, in the model's latents: float32 [B, C, (1,) h, w]
    evaluations: int

    def plus(self, other: "Record") -> "Record":
        """Features of all evaluations side by side, which is what a sum of Gram matrices means.

        Raises RuntimeError when the layers have changed their size.
        """
        if {n: a.shape for n, a in self.attention.items()} != {n: a.shape for n, a in other.attention.items()}:
            raise RuntimeError(
                "the model's layers change their size while the probe samples (PatchModelAddDownscale and its kin), so "
                'that there is no mean of them: set record of LIME Probe to "last step".'
            )
        grams = {
            size: FeatureGram(a.products + b.products, size, a.channels + b.channels)
            for size, a, b in ((size, self.grams[size], gram) for size, gram in other.grams.items())
        }
        attention = {n: self.attention[n] + new for n, new in other.attention.items()}
        estimate = self.estimate + other.estimate
        return Record(attention, self.layers + other.layers, grams, estimate, self.evaluations + other.evaluations)


class Recorder:
    """Records the last evaluation of the steps it is given, or the sum over their last ones.

    Attention comes from the conditioning that carries the instruction, features from the branch that carries the
    picture but not the instruction (published: image branch). Where no such branch is evaluated (BasicGuider, or both
    guidance scales at 1), features come from the instruction's own.
    """

    def __init__(self, family: Family, instruction: Instruction, settings: Settings, sigmas: Tensor) -> None:
        steps = len(sigmas) - 1
        self.first_step = int(steps * (1 - settings.mean_share)) if settings.mean_share else steps - 1
        self.ends = sigmas[[self.first_step, steps]].cpu()  # records from the first sigma to above the last
        self.family, self.instruction, self.settings = family, instruction, settings
        self._steps = 0  # finished
        self._record: Record | None = None

    def finish_step(self, step: int) -> None:
        """To be called after each step of the sampler."""
        self._steps = step + 1

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper. Waits for the device in the recorded steps only."""
        if self._steps < self.first_step or not self._is_recorded(timestep.max()):
            return executor(x, timestep, self.family.with_text_check(model_options), seed)
        conds = {name: cond for name, cond in executor.class_obj.conds.items() if cond}
        latent, tokens = (x.shape[-2], x.shape[-1]), self.instruction.embedding.shape[1]
        now = _Evaluation(self.family, self.settings, latent, tokens, *self._branches(conds))
        options = self.family.with_attention(model_options, now.attend)
        result = executor(x, timestep, self.family.with_output(options, now.output), seed)
        if now.attention or not self.family.REACHED:
            estimate = result.to(torch.float32, copy=True)
            record = _transfer(Record(now.attention, now.layers, now.best_grams(), estimate, 1))
            adds = self.settings.mean_share and self._record is not None
            self._record = self._record.plus(record) if adds else record
        return result

    def _is_recorded(self, sigma: Tensor) -> bool:
        first, last = self.ends.to(sigma.dtype).tolist()  # 0.3.75 rounds sigmas to the latent's type
        return last < sigma.item() <= first

    def _branches(self, conds: dict[str, list[dict]]) -> tuple[set, dict[Any, int]]:
        """uuids of the conditionings that carry the instruction; the rank of each as a source of features, 0 best."""

        def rank(name: str, cond: dict) -> int:
            if name == "positive":
                return 2
            return 0 if self.family.source(cond) is not None else 1

        everything = [(name, c) for name, cond in conds.items() for c in cond]
        instructs = {c["uuid"] for _, c in everything if carries_text(c, self.instruction.embedding)}
        return instructs, {c["uuid"]: rank(name, c) for name, c in everything}

    def result(self) -> Record:
        """What was recorded, as means. Raises RuntimeError when the instruction was not evaluated."""
        record = self._record
        if record is None:
            raise RuntimeError(
                "no attention was recorded: in the probe's last step the model was not evaluated with the instruction. "
                "Either its conditioning has a time-step range that ends before, or a node skips evaluations there "
                "(EasyCache and its kin), or the sampler does not follow the schedule (dpm_fast, dpm_adaptive): change "
                "that, or raise steps."
            )
        attention = {n: record.attention[n] / record.layers[n] for n in sorted(record.attention)}
        return record._replace(attention=attention, estimate=record.estimate / record.evaluations)


class _Evaluation:
    """The maps of one evaluation of the guider, gathered over the batches that the host splits it into.

    What comes first counts: guidance that perturbs the model evaluates it again. 0.33 evaluates batches on several GPUs
    in threads, hence the lock.
    """

    def __init__(
        self, family: Family, settings: Settings, latent: Size, tokens: int, instructs: set, ranks: dict[Any, int]
    ) -> None:
        self.family, self.settings, self.latent, self.tokens = family, settings, latent, tokens
        self.instructs, self.ranks = instructs, ranks
        self.attention: dict[Any, Tensor] = {}
        self.layers: Counter[Any] = Counter()
        self._attended: set = set()  # blocks
        self._seen: dict[float, set] = {}  # by rank: layers, as (block, kind)
        self._grams: dict[float, dict[Size, FeatureGram]] = {}  # by rank
        self._lock = Lock()

    def attend(self, q: Tensor, k: Tensor, v: Tensor, call: Call, attention: Any) -> Tensor:
        check_part(call.latent, self.latent)
        out = attention(q, k, v)
        if self.family.recorded(call.size, call.latent, self.settings):
            for uuid, rows in rows_by_conditioning(q.shape[0], call.uuids):
                if uuid in self.instructs and self._is_first(call.block):
                    folded = self.family.fold_text(self._shares(q[rows], k[rows], out[rows], call), self.tokens)
                    here = pool_map(folded.unflatten(1, call.size))
                    at = call.block if self.settings.layers_apart else call.map
                    with self._lock:
                        self.attention[at] = self.attention[at] + here if self.layers[at] else here
                        self.layers[at] += 1
        return out

    def _shares(self, q: Tensor, k: Tensor, out: Tensor, call: Call) -> Tensor:
        """What each of the call's text tokens has of each pixel, by the witness: [B, N, tokens]."""
        if self.settings.witness == "outputs":
            return output_similarity(out[:, call.picture], out[:, call.text])
        if self.settings.witness == "joint attention":
            return attention_among_all(q[:, call.picture], k, call.text)
        probabilities = attention_probabilities(q[:, call.picture], k[:, call.rivals])
        return probabilities[..., : call.text.stop - call.text.start]

    def _is_first(self, block: Hashable) -> bool:
        with self._lock:
            first = block not in self._attended
            self._attended.add(block)
        return first

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
            grams, size = self._grams.setdefault(rank, {}), (here.shape[1], here.shape[2])
            grams[size] = add_features(grams.get(size), here)

    def best_grams(self) -> dict[Size, FeatureGram]:
        """Of the best branch that was evaluated."""
        return self._grams.get(min(self._seen), {}) if self._seen else {}


def _transfer(record: Record) -> Record:
    """On the host's intermediate device, in one copy."""
    tensors = [*record.attention.values(), *(g.products for g in record.grams.values()), record.estimate]
    device = comfy.model_management.intermediate_device()
    if all(t.device == device for t in tensors):
        return record
    parts = torch.cat([t.flatten().to(tensors[0].device) for t in tensors]).to(device)
    there = iter([p.view(t.shape) for p, t in zip(parts.split([t.numel() for t in tensors]), tensors, strict=True)])
    return record._replace(
        attention={n: next(there) for n in record.attention},
        grams={size: gram._replace(products=next(there)) for size, gram in record.grams.items()},
        estimate=next(there),
    )
