"""What the published method makes the model compute, restated plainly: every attention's probabilities in full."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .sd15 import SCHEDULE, Edit, regions
from .steps import ONE
from .timing import in_turn

RECORDED, MASKED = 11, 27  # steps of SCHEDULE, see lime_ops.settings.PUBLISHED
LARGEST = 64 * 64  # pixels of a recorded layer, exclusive
COARSE = 16  # pixels a side of a layer that is not masked any more


def published_cost(edit: Edit, rounds: int) -> dict[str, list[float]]:
    """Two full passes, both recorded, the second masked, over a plain edit: steps of each kind times their number."""
    kinds = {"full": (False, False), "recorded": (True, False), "masked": (False, True), "both": (True, True)}
    models = {"plain": edit.model} | {name: published_model(edit, *kind) for name, kind in kinds.items()}
    actions = {name: partial(edit.sample, model, ONE) for name, model in models.items()}
    in_turn(actions, 1)  # what only a first step does
    times = in_turn(actions, rounds)
    return {"published_two_passes": [_two_passes(*kinds) for kinds in zip(*times.values(), strict=True)]}


def _two_passes(plain: float, full: float, recorded: float, masked: float, both: float) -> float:
    """Seconds of a step of each kind to the method's cost over a plain edit's."""
    first = RECORDED * recorded + (SCHEDULE - RECORDED) * full
    second = RECORDED * both + (MASKED - RECORDED) * masked + (SCHEDULE - MASKED) * full
    return (first + second) / (SCHEDULE * plain)


def published_model(edit: Edit, record: bool, mask: bool) -> Any:
    """A clone of the model that computes attention as the published code does (pipeline.py, AttentionProcessor)."""
    model = edit.model.clone()
    kept: dict[tuple, Tensor] = {}
    region = regions(edit.side)["6_percent"]
    for part, number, index in edit.host.families.family_of(model).blocks:
        self_attention = partial(_attention, kept=None, penalise=None)
        penalise = partial(_penalty, region, edit.tokens.unrelated) if mask else None
        cross_attention = partial(_attention, kept=kept if record else None, penalise=penalise)
        model.set_model_attn1_replace(self_attention, part, number, index)
        model.set_model_attn2_replace(cross_attention, part, number, index)
    if record:
        model.set_model_attn1_output_patch(partial(_keep_features, kept=kept, kind="attn1"))
        model.set_model_attn2_output_patch(partial(_keep_features, kept=kept, kind="attn2"))
    return model


def _attention(q: Tensor, k: Tensor, v: Tensor, extra: dict, kept: dict | None, penalise: Any) -> Tensor:
    heads = extra["n_heads"]
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1) for t in (q, k, v))
    pixels, tokens = q.shape[1], k.shape[1]
    if penalise is not None and pixels > COARSE**2:
        bias = penalise(q, tokens)
    else:
        bias = torch.zeros(1, 1, 1, dtype=q.dtype, device=q.device).expand(len(q), pixels, tokens)
    probabilities = torch.baddbmm(bias, q, k.mT, alpha=q.shape[-1] ** -0.5).softmax(-1)
    if kept is not None and pixels < LARGEST:
        kept[extra["block"], "attention"] = probabilities[:heads]
    return torch.bmm(probabilities, v).unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)


def _penalty(region: Tensor, unrelated: Tensor, q: Tensor, tokens: int) -> Tensor:
    """What is added to the scores, [rows * heads, pixels, tokens]: made anew in every layer and step, as there."""
    side = math.isqrt(q.shape[1])
    here = F.interpolate(region[:, None], (side, side)).flatten().to(q)
    bias = torch.zeros(*q.shape[:2], tokens, device=q.device, dtype=q.dtype)
    bias[:, :, unrelated.to(q.device)] = here[:, None] * -torch.finfo(q.dtype).max
    return bias


def _keep_features(n: Tensor, extra: dict, kept: dict, kind: str) -> Tensor:
    if n.shape[1] < LARGEST:
        kept[extra["block"], kind] = n[1:2]
    return n
