"""The region of interest: the segments that own the hottest pixels."""

import torch
from torch import Tensor


def select_roi(labels: Tensor, attention: Tensor, top_k: int = 100) -> Tensor:
    """Union of all segments that own at least one of the top_k hottest pixels: bool [B, H, W].

    labels: integer [B, H, W]; attention: float [B, H, W]. top_k above the number of pixels means all of them. An image
    whose attention is 0 everywhere (no word was chosen) gets an empty region. Source: section 3.2 of the paper;
    utils.py, locate_points and extract_binary_mask.

    Raises ValueError when shapes disagree or top_k is below 1.
    """
    if labels.shape != attention.shape or labels.ndim != 3:
        raise ValueError(
            f"labels are {list(labels.shape)} and attention is {list(attention.shape)}: expected both as [B, H, W]"
        )
    if top_k < 1:
        raise ValueError(f"top_k is {top_k}: expected at least 1")
    hottest = attention.flatten(1).topk(min(top_k, attention[0].numel())).indices
    chosen = labels.flatten(1).gather(1, hottest.to(labels.device))
    return torch.stack(
        [
            torch.isin(segments, own) if heat.any() else torch.zeros_like(segments, dtype=torch.bool)
            for segments, own, heat in zip(labels, chosen, attention, strict=True)
        ]
    )
