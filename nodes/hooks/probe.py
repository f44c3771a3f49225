"""Sampling the first steps of an edit, with a recorder on the model."""

import copy
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider, Sampler
from comfy_api.latest import io
from torch import Tensor

from ...lime_ops import Settings
from ..sockets import Capture, Instruction
from . import KEY
from .checks import check_channels, check_latent, check_steps
from .conditionings import check_instruction, check_whole, fits
from .families import family_of, latent_pixels
from .recorder import Recorder


def probe(
    guider: CFGGuider,
    noise: io.Noise.Type,
    sampler: Sampler,
    sigmas: Tensor,
    latent: dict,
    image: Tensor | None,
    instruction: Instruction,
    settings: Settings,
) -> tuple[Capture, dict]:
    """Samples the first `settings.steps` of a schedule: (what was recorded, the noisy LATENT to continue from).

    image: IMAGE [1 or B, H, W, 3] that is edited, None: grey. Raises ValueError, before anything is sampled, when the
    model has no attention to record or guider, schedule, latent, image and instruction do not belong together.
    """
    model = guider.model_patcher
    family, pixels, conds = family_of(model), latent_pixels(model), guider.original_conds
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    latent = {**latent, "samples": samples}
    check_steps(sigmas, settings.steps)
    check_latent(latent, family, pixels, settings)
    check_instruction(instruction.embedding, conds)
    check_whole(conds)
    check_channels(family, conds, samples)
    picture = _picture(image, samples, pixels)
    sigmas = sigmas[: settings.steps + 1]
    recorder = Recorder(family, instruction, settings, sigmas)
    guider = copy.copy(guider)
    guider.model_patcher = model.clone()
    guider.model_patcher.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, recorder.predict_noise)
    noisy = _sample(guider, noise, sampler, sigmas, latent, recorder.finish_step)
    capture = Capture(instruction, *recorder.maps(), tuple(samples.shape[-2:]), picture)
    return capture, {**latent, "samples": noisy}


def _picture(image: Tensor | None, samples: Tensor, pixels: int) -> Tensor:
    """The picture to draw on, [B, H, W, 3]; grey without one. Raises ValueError when it does not fit the latent."""
    batch, (h, w) = samples.shape[0], samples.shape[-2:]
    if image is None:
        return torch.full((batch, h * pixels, w * pixels, 3), 0.5)
    height, width = image.shape[1:3]
    if image.shape[0] not in (1, batch) or not fits((height, width), (h, w)):
        raise ValueError(
            f"image is {image.shape[0]} x {width}x{height} but the latent is of {batch} x {w * pixels}x{h * pixels} "
            "pixels (width x height): expected the picture that the latent was made from."
        )
    return image[..., :3].expand(batch, -1, -1, -1)


def _sample(
    guider: CFGGuider, noise: io.Noise.Type, sampler: Sampler, sigmas: Tensor, latent: dict, finish_step: Callable
) -> Tensor:
    """As SamplerCustomAdvanced does, with its progress bar and preview."""
    show = latent_preview.prepare_callback(guider.model_patcher, len(sigmas) - 1)

    def callback(step: int, *args: Any) -> None:
        finish_step(step)
        show(step, *args)

    samples = guider.sample(
        noise.generate_noise(latent),
        latent["samples"],
        sampler,
        sigmas,
        denoise_mask=latent.get("noise_mask"),
        callback=callback,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=noise.seed,
    )
    return samples.to(comfy.model_management.intermediate_device())
