"""A model that lets only an instruction's chosen words act inside a region."""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import comfy.model_patcher
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from torch import Tensor

from ...lime_ops import Settings, is_hard, mask_values, max_pool_region, regularized_attention, resize_nearest
from ..sockets import Tokens
from . import KEY
from .conditionings import carries_text, check_instruction, check_mask
from .families import Call, UNet, family_of


def regularize_model(
    model: comfy.model_patcher.ModelPatcher, mask: Tensor, tokens: Tokens, settings: Settings
) -> comfy.model_patcher.ModelPatcher:
    """A clone whose unrelated tokens are masked inside the mask [1 or B, H, W].

    Raises ValueError when the model has no cross-attention or is regularised already.
    """
    if model.get_wrappers(WrappersMP.PREDICT_NOISE, KEY):
        raise ValueError("the model already has a LIME region: LIME Attention Regularize Model works once a model.")
    sampling = model.get_model_object("model_sampling")
    region = mask_values(mask)
    regularizer = _Regularizer(
        family=family_of(model),
        region=region == 1 if is_hard(region) else region,
        tokens=tokens,
        settings=settings,
        first=sampling.percent_to_sigma(settings.start_percent),
        last=sampling.percent_to_sigma(settings.end_percent),
    )
    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, regularizer.outer_sample)
    model.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, regularizer.predict_noise)
    return model


@dataclass(frozen=True, eq=False)
class _Regularizer:
    """Hangs on a model clone."""

    family: UNet
    region: Tensor  # [1 or B, H, W]: bool, or float in [0, 1]
    tokens: Tokens
    settings: Settings
    first: float  # sigma; active while last <= sigma <= first
    last: float
    _regions: dict[tuple[int, int], Tensor] = field(default_factory=dict)  # by size, resized once for all steps

    def outer_sample(self, executor: WrapperExecutor, noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """OUTER_SAMPLE wrapper: refuses what does not fit before anything is sampled."""
        check_mask(self.region, noise)
        check_instruction(self.tokens.instruction.embedding, executor.class_obj.conds)
        return executor(noise, *args, **kwargs)

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper."""
        if self.last <= timestep.max().item() <= self.first and self.settings.strength > 0:
            around = partial(self.attend, branches=self._branches(executor.class_obj.conds))
            model_options = self.family.with_attention(model_options, around)
        return executor(x, timestep, model_options, seed)

    def _branches(self, conds: dict[str, list[dict]]) -> set:
        """uuids of the rows to regularise: this instruction's, and those that carry no instruction."""
        return {
            c["uuid"]
            for name, cond in conds.items()
            for c in cond or []
            if carries_text(c, self.tokens.instruction.embedding)
            or (name != "positive" and not self.settings.instruction_only)
        }

    def _region_at(self, size: tuple[int, int]) -> Tensor:
        if size not in self._regions:
            resize = max_pool_region if self.settings.cover_touched_pixels else resize_nearest
            self._regions[size] = resize(self.region, size)
        return self._regions[size]

    def attend(self, q: Tensor, k: Tensor, v: Tensor, call: Call, attention: Any, branches: set) -> Tensor:
        if not self.family.regularized(call, self.settings):
            return attention(q, k, v)
        images = q.shape[0] // len(call.uuids)
        region = self._region_at(call.size).flatten(1).to(q.device).expand(images, -1)
        here = torch.cat([region if uuid in branches else torch.zeros_like(region) for uuid in call.uuids])
        unrelated = self.tokens.unrelated
        length = math.lcm(k.shape[1], len(unrelated))
        return regularized_attention(
            q,
            k.repeat(1, length // k.shape[1], 1),  # as the host pads; repeating does not change the result
            v.repeat(1, length // v.shape[1], 1),
            call.heads,
            here,
            unrelated.repeat(length // len(unrelated)),
            self.settings.strength,
            attention,
        )
