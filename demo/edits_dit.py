"""Scenes edited with the demo's DiT as a graph edits them with FLUX.1 Kontext: the host's nodes."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from .edits import STEPS
from .host import use_host
from .scenes import Scene


@cache
def _loaded(folder: Path | None) -> SimpleNamespace:
    """The host's nodes and the DiT of a folder (None: the one that comes with the demo), once a process."""
    use_host()
    import comfy.samplers
    import comfy_extras.nodes_custom_sampler as custom
    import comfy_extras.nodes_edit_model as edit_model

    from .model_dit import DIT, load_dit

    with torch.inference_mode(False):  # weights that a later caller may use with or without it
        model, clip, vae = load_dit(folder or DIT)
    return SimpleNamespace(
        model=model, clip=clip, vae=vae, samplers=comfy.samplers, custom=custom, edit_model=edit_model
    )


def edit_with_dit(
    scene: Scene, seed: int, steps: int = STEPS, guidance: float = 1.0, folder: Path | None = None
) -> Tensor:
    """The plain edit, float [1, H, W, 3] in [0, 1]: BasicGuider, or CFGGuider at a guidance other than 1."""
    lime = _loaded(folder)
    source = lime.vae.encode(scene.source[None])

    def conditioning(text: str) -> list:
        encoded = lime.clip.encode_from_tokens_scheduled(lime.clip.tokenize(text))
        return lime.edit_model.ReferenceLatent.execute(encoded, {"samples": source})[0]

    if guidance == 1:
        guider = lime.custom.BasicGuider.execute(lime.model, conditioning(scene.instruction))[0]
    else:
        both = (conditioning(scene.instruction), conditioning(""))
        guider = lime.custom.CFGGuider.execute(lime.model, *both, guidance)[0]
    sampling = lime.model.get_model_object("model_sampling")
    sampled = lime.custom.SamplerCustomAdvanced.execute(
        lime.custom.RandomNoise.execute(seed)[0],
        guider,
        lime.samplers.sampler_object("euler"),
        lime.samplers.calculate_sigmas(sampling, "simple", steps),
        {"samples": torch.zeros_like(source)},
    )[0]
    return lime.vae.decode(sampled["samples"])
