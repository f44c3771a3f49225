"""What stands under LIME's hooks: the host's attention functions and other packs', and compiled models."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from comfy.patcher_extension import WrapperExecutor

# Seen by running them: pytorch, sub_quad, split, basic. By their source: xformers pads to multiples of 8, flash takes
# up to 256. Sage takes 64, 96 and 128 alone, and rounds queries and keys to 8 bits by their largest channel.
WIDER = {"attention_pytorch", "attention_sub_quad", "attention_split", "attention_basic", "attention_xformers",
         "attention_flash"}  # fmt: skip
OVERRIDE = "optimized_attention_override"  # in the host's options: another pack's attention, of any widths


def origin(function: Any) -> str:
    """Where another pack's function comes from, to name it in an error: module and name."""
    function = getattr(function, "func", function)  # of a partial
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}.{kind.__qualname__}"


def takes_wider_heads(function: Callable) -> bool:
    """Whether this one of the host's attention functions does."""
    return getattr(function, "__name__", "") in WIDER


def uncompiled(executor: WrapperExecutor, *args: Any, **kwargs: Any) -> Any:
    """APPLY_MODEL wrapper: runs the model as if it was not compiled.

    TorchCompileModel does not look at the host's options again once a model is traced, so that hooks would be left out,
    or those of an earlier step or run would act.
    """
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and importing it would take seconds
        return executor(*args, **kwargs)
    with torch.compiler.set_stance("force_eager"):
        return executor(*args, **kwargs)
