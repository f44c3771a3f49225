"""The method as plain functions on tensors; knows nothing of ComfyUI. Maps are channels-last."""

from .attention import attention_probabilities, average_attention
from .features import fuse_features
from .grid import cover_region, resize_region, working_grid
from .instruction import edit_word_spans, edit_words
from .region import refine_region, select_roi, select_segments
from .regularize import regularized_attention
from .segments import segment_features

__all__ = [
    "attention_probabilities",
    "average_attention",
    "cover_region",
    "edit_word_spans",
    "edit_words",
    "fuse_features",
    "refine_region",
    "regularized_attention",
    "resize_region",
    "segment_features",
    "select_roi",
    "select_segments",
    "working_grid",
]
