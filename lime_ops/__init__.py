"""The method as plain functions on tensors; knows nothing of ComfyUI. Maps are channels-last."""

from .attention import attention_among_all, attention_probabilities, average_attention, output_similarity
from .clustering import FeatureGram, add_features, feature_grams, segment_features, segment_grams
from .compositing import feather
from .cropping import Crop, crop_around, crop_mask, crop_picture, mask_on, whole_picture
from .estimate import change_map, mix_witnesses
from .features import fuse_features
from .grid import max_pool_region, pool_map, resize_bilinear, resize_nearest, working_grid
from .instruction import edit_word_spans, edit_words
from .outside import keep_outside, mask_values, widen_region
from .photograph import paste_back
from .regularization import Regularization, plan_regularization, regularized_attention
from .roi import find_region, refine_region, select_roi, select_segments
from .settings import PUBLISHED, RECOMMENDED, Settings, Witness
from .tokens import TokenColumns, acting_tokens, locating_tokens

__all__ = [
    "PUBLISHED",
    "RECOMMENDED",
    "Crop",
    "FeatureGram",
    "Regularization",
    "Settings",
    "TokenColumns",
    "Witness",
    "acting_tokens",
    "add_features",
    "attention_among_all",
    "attention_probabilities",
    "average_attention",
    "change_map",
    "crop_around",
    "crop_mask",
    "crop_picture",
    "edit_word_spans",
    "edit_words",
    "feather",
    "feature_grams",
    "find_region",
    "fuse_features",
    "keep_outside",
    "locating_tokens",
    "mask_on",
    "mask_values",
    "max_pool_region",
    "mix_witnesses",
    "output_similarity",
    "paste_back",
    "plan_regularization",
    "pool_map",
    "refine_region",
    "regularized_attention",
    "resize_bilinear",
    "resize_nearest",
    "segment_features",
    "segment_grams",
    "select_roi",
    "select_segments",
    "whole_picture",
    "widen_region",
    "working_grid",
]
