"""Edits with a dense bias in the cross-attention modules' own forward: what regularising must equal."""

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F


def dense_edit(
    this,
    inside: Callable[[int, int], torch.Tensor],
    kept: tuple[int, ...] = (2, 3),
    rows: slice = slice(None),
    added: torch.Tensor | None = None,
    coarsest: int | None = None,
    strength: float = 1.0,
) -> torch.Tensor:
    """The latent of an edit in which pixels of `inside(h, w)` [h, w] attend to no other token than these.

    rows: of the batch. added: tokens [1, n, C] that stand behind the text and may act. coarsest: pixels of the largest
    layer that is left alone; None: a quarter of the latent each way. strength: how much of the others' weight is taken.
    """
    if coarsest is None:
        coarsest = -(-this.size[0] // 4) * -(-this.size[1] // 4)
    log_rest = math.log1p(-strength) if strength < 1 else -torch.finfo(torch.float32).max
    modules = [m for name, m in this.model.model.diffusion_model.named_modules() if name.endswith("attn2")]

    def forward_of(module):
        def forward(x, context=None, value=None, mask=None, transformer_options=None):
            tokens = context.shape[1]
            if added is not None:
                context = torch.cat([context, added.expand(context.shape[0], -1, -1)], 1)
            q, k, v = module.to_q(x), module.to_k(context), module.to_v(context)
            q, k, v = (t.unflatten(-1, (module.heads, -1)).transpose(1, 2) for t in (q, k, v))
            bias = torch.zeros(x.shape[0], 1, x.shape[1], context.shape[1])
            if x.shape[1] > coarsest:
                unrelated = torch.ones(tokens, dtype=torch.bool)
                unrelated[list(kept)] = False
                penalty = F.pad(unrelated, (0, context.shape[1] - tokens)).float() * log_rest
                bias[rows] = inside(*transformer_options["activations_shape"][-2:]).reshape(1, 1, -1, 1) * penalty
            out = F.scaled_dot_product_attention(q, k, v, bias)
            return module.to_out(out.transpose(1, 2).flatten(2))

        return forward

    for module in modules:
        module.forward = forward_of(module)
    try:
        return this.sample()
    finally:
        for module in modules:
            del module.forward


def left(h: int, w: int) -> torch.Tensor:
    """The left half of a layer."""
    return (torch.arange(w) < w / 2).float().expand(h, w)
