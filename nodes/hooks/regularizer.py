"""A model that lets only an instruction's chosen words act inside a region."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import comfy.model_patcher
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP, add_wrapper_with_key
from comfy.samplers import Sampler
from torch import Tensor
from torch.nn import functional as F

from ...lime_ops import Regularization, Settings, mask_values, max_pool_region, plan_regularization, resize_nearest
from ..sockets import Tokens
from . import KEY
from .conditionings import carries_text, check_instruction, check_mask, check_part, check_start, check_whole
from .families import Call, Family, Size, family_of, latent_pixels


def regularize_model(
    model: comfy.model_patcher.ModelPatcher, mask: Tensor, tokens: Tokens, settings: Settings
) -> comfy.model_patcher.ModelPatcher:
    """A clone whose unrelated tokens are masked inside the mask [1 or B, H, W].

    Raises ValueError when the model has no attention that LIME reaches or is regularised already, or a value is out of
    range.
    """
    _check(settings, tokens)
    if model.get_wrappers(WrappersMP.OUTER_SAMPLE, KEY):
        raise ValueError("the model already has a LIME region: LIME Attention Regularize Model works once a model.")
    family = family_of(model)
    if not family.REACHED:
        raise ValueError(
            f"LIME does not reach the attention of {type(model.get_model_object('diffusion_model')).__name__}, so that "
            "no word can be regularised in it: leave LIME Attention Regularize Model out. LIME Keep Outside and LIME "
            "Paste Back work on this model too."
        )
    regularizer = _Regularizer(
        family=family,
        pixels=latent_pixels(model),
        region=mask_values(mask),
        tokens=tokens,
        settings=settings,
    )
    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, regularizer.outer_sample)
    return model


def _check(settings: Settings, tokens: Tokens) -> None:
    if not 0 <= settings.strength <= 1:
        raise ValueError(f"strength is {settings.strength}: expected a value from 0 to 1")
    start, end = settings.start_percent, settings.end_percent
    if not 0 <= start < end <= 1:
        raise ValueError(
            f"start_percent is {start} and end_percent is {end}: expected 0 <= start_percent < end_percent <= 1"
        )
    columns, wanted = len(tokens.unrelated), tokens.instruction.embedding.shape[1]
    if columns != wanted:
        raise ValueError(
            f"tokens has {columns} columns but its instruction has {wanted}: expected those that LIME Words gave"
        )


@dataclass(frozen=True, eq=False)
class _Regularizer:
    """Hangs on a model clone."""

    family: Family
    pixels: int  # of the picture, to a latent pixel
    region: Tensor  # float [1 or B, H, W] in [0, 1]
    tokens: Tokens
    settings: Settings

    def outer_sample(
        self,
        executor: WrapperExecutor,
        noise: Tensor,
        latent: Tensor,
        sampler: Sampler,
        sigmas: Tensor,
        noise_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """OUTER_SAMPLE wrapper: refuses what does not fit before anything is sampled, then hangs in for this run."""
        guider = executor.class_obj
        check_mask(self.region, noise, self.pixels)
        check_start(noise, noise_mask)
        check_instruction(self.tokens.instruction.embedding, guider.conds)
        check_whole(guider.conds)
        self.family.check(guider.conds, noise.shape[1])
        self._check_layers((noise.shape[-2], noise.shape[-1]))
        if self.settings.strength > 0:
            sampling = guider.model_patcher.get_model_object("model_sampling")  # maybe set behind this node
            ends = (sampling.percent_to_sigma(p) for p in (self.settings.start_percent, self.settings.end_percent))
            run = Run(self, self._branches(guider.conds), *ends)
            add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, run.predict_noise, guider.model_options, True)
        return executor(noise, latent, sampler, sigmas, noise_mask, *args, **kwargs)

    def _check_layers(self, latent: Size) -> None:
        if not any(self.family.regularized(size, latent, self.settings) for size in self.family.sizes(latent)):
            raise ValueError(
                f"the latent is {latent[1]}x{latent[0]} (width x height): no layer of this model would be regularised, "
                "at the published setting those finer than 16 x 16. Use a larger picture, or the recommended setting."
            )

    def _branches(self, conds: dict[str, list[dict]]) -> set:
        """uuids of the rows to regularise: this instruction's, and those that carry no instruction.

        The latter only where an instruction's columns mean the same in every text.
        """
        return {
            c["uuid"]
            for name, cond in conds.items()
            for c in cond or []
            if carries_text(c, self.tokens.instruction.embedding)
            or (name != "positive" and self.family.ONE_LENGTH and not self.settings.instruction_only)
        }

    def region_at(self, size: Size, latent: Size) -> Tensor:
        """[1 or B, pixels] of a layer."""
        resize = max_pool_region if self.settings.cover_touched_pixels else resize_nearest
        return resize(self.family.covered(self.region, latent, size), size).flatten(1)


class Plan(NamedTuple):
    """How calls of one kind are regularised."""

    regularization: Regularization
    times: int  # that the keys are repeated, where the text is shorter than the instruction


class Run:
    """One run of a sampler: what is constant in it is made at its first use, by layer size and batch."""

    def __init__(self, regularizer: _Regularizer, branches: set, first: float, last: float) -> None:
        self.of, self.branches = regularizer, branches
        self.first, self.last = first, last  # sigmas: active while last <= sigma <= first
        self.plans: dict[tuple, Plan | None] = {}

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper. Whether a step is active is decided on the device: nothing waits for it."""
        sigma = timestep.max()
        active = (self.last <= sigma) & (sigma <= self.first)
        attend = partial(self.attend, active=active, latent=(x.shape[-2], x.shape[-1]))
        model_options = self.of.family.with_attention(model_options, attend)
        return executor(x, timestep, model_options, seed)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, call: Call, attention: Any, active: Tensor, latent: Size
    ) -> Tensor:
        check_part(call.latent, latent)
        if not self.of.family.regularized(call.size, call.latent, self.of.settings):
            return attention(q, k, v)
        key = (call.size, call.uuids, call.wider, call.text.stop, q.shape, k.shape[1], q.dtype, q.device)
        if key not in self.plans:
            self.plans[key] = self._plan(q, k.shape[1], call)
        plan = self.plans[key]
        if plan is None:
            return attention(q, k, v)
        if plan.times > 1:  # repeating does not change the result
            k, v = k.repeat(1, plan.times, 1, 1), v.repeat(1, plan.times, 1, 1)
        return plan.regularization(q, k, v, attention, active.to(q.device))

    def _plan(self, q: Tensor, keys: int, call: Call) -> Plan | None:
        """The penalty of a batch's rows, those of other branches without a region. All keys but the text's may act."""
        if not self.branches.intersection(call.uuids):
            return None
        region = self.of.region_at(call.size, call.latent).expand(q.shape[0] // len(call.uuids), -1)
        here = torch.cat([region if uuid in self.branches else torch.zeros_like(region) for uuid in call.uuids])
        queries = here.new_zeros(q.shape[:2])
        queries[:, call.picture] = here
        tokens = call.text.stop - call.text.start
        unrelated = self.of.family.spread_text(self.of.tokens.unrelated, tokens, self.of.settings.padding_acts)
        times = len(unrelated) // tokens
        others = (call.text.start, keys - call.text.stop)
        unrelated = F.pad(unrelated.unflatten(0, (times, tokens)), others).flatten()
        found = plan_regularization(queries, unrelated, self.of.settings.strength, q, call.wider)
        return None if found is None else Plan(found, times)
