"""Sampling the first steps of an edit, with a recorder on the model."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider, Sampler
from comfy_api.latest import io
from torch import Tensor

from ...lime_ops import FeatureGram, Settings, Witness, add_features, change_map, pool_map
from ..sockets import Capture, Instruction
from . import KEY
from .checks import check_latent, check_steps
from .conditionings import check_instruction, check_source, check_whole, fit_source, fits
from .families import Family, family_of, latent_pixels
from .recorder import Recorder

COMPARING: frozenset[Witness] = frozenset({"estimate", "mixture"})  # witnesses that need the source
RATIOS = ("downscale_ratio_spacial", "downscale_ratio_temporal")  # of an empty latent, from 0.33: it is scaled by them


def probe(
    guider: CFGGuider,
    noise: io.Noise.Type,
    sampler: Sampler,
    sigmas: Tensor,
    latent: dict,
    image: Tensor | None,
    instruction: Instruction,
    settings: Settings,
    source: Tensor | None = None,
) -> tuple[Capture, dict]:
    """Samples the first `settings.steps` of a schedule: (what was recorded, the noisy LATENT to continue from).

    image: IMAGE [1 or B, H, W, 3] that is edited, None: grey. source: its latent [1 or B, C, (1,) h, w] as the
    autoencoder gave it; None: the one that a conditioning carries, or else the latent, unless that is empty. Raises
    ValueError, before anything is sampled, when nothing of the model tells where the edit is or guider, schedule,
    latent, image and instruction do not belong together.
    """
    model = guider.model_patcher
    family, pixels, conds = family_of(model), latent_pixels(model), guider.original_conds
    latent = dict(latent)
    ratios = {name: latent.pop(name) for name in RATIOS if name in latent}
    latent["samples"] = samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"], **ratios)
    check_steps(sigmas, settings.steps)
    check_latent(latent, family, pixels, settings)
    check_instruction(instruction.embedding, conds)
    check_whole(conds)
    family.check(conds, samples.shape[1])
    source = _source(source, conds, samples, family)
    settings = replace(settings, witness=_witness(settings, family, source is not None, model))
    compared = source if settings.witness in COMPARING else None
    if compared is not None:
        check_source(compared, samples)
    picture = _picture(image, samples, pixels)
    sigmas = sigmas[: settings.steps + 1]
    recorder = Recorder(family, instruction, settings, sigmas)
    guider = copy.copy(guider)
    guider.model_patcher = model.clone()
    guider.model_patcher.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, recorder.predict_noise)
    noisy = _sample(guider, noise, sampler, sigmas, latent, recorder.finish_step)
    record = recorder.result()
    grams = tuple(record.grams.values()) or (_gram(record.estimate),)
    change = None
    if compared is not None:
        change = change_map(record.estimate, fit_source(compared, record.estimate, model.model))
    attention = tuple(record.attention.values())
    capture = Capture(instruction, attention, grams, change, tuple(samples.shape[-2:]), picture)
    return capture, {**latent, "samples": noisy}


def _source(given: Tensor | None, conds: dict[str, list[dict]], samples: Tensor, family: Family) -> Tensor | None:
    """The latent of the picture to edit."""
    carried = family.find_source(conds) if given is None else given
    return samples if carried is None and samples.any() else carried


def _witness(settings: Settings, family: Family, has_source: bool, model: comfy.model_patcher.ModelPatcher) -> Witness:
    """What says where the edit is: as the setting says, or the family, or without a source the attention.

    Raises ValueError when the model and the picture do not have that.
    """
    witness: Witness = settings.witness or "estimate"
    if settings.witness is None and (family.FOUND_BY_ATTENTION or (family.REACHED and not has_source)):
        witness = "attention"
    network = type(model.get_model_object("diffusion_model")).__name__
    if witness == "outputs" and not family.TEXT_ATTENDS:
        raise ValueError(
            f"witness is 'outputs', but the text does not attend in {network}, so that it has no outputs to compare "
            "with the picture's: expected another witness, or a transformer in which both attend to each other."
        )
    if witness != "estimate" and not family.REACHED:
        raise ValueError(
            f"witness is {witness!r}, but LIME does not reach the attention of {network}: expected the early estimate, "
            "which the recommended setting of LIME Instruction takes there. The published setting is attention."
        )
    if witness in COMPARING and not has_source:
        raise ValueError(
            f"nothing tells where {network} edits: LIME does not reach its attention or is not to use it, and has no "
            "picture to compare with. Wire the latent of the picture to edit into LIME Probe's `source`."
        )
    return witness


def _gram(estimate: Tensor) -> FeatureGram:
    """Features of a model whose attention is not reached: the estimate itself."""
    flat = estimate if estimate.ndim == 4 else estimate.squeeze(2)
    return add_features(None, pool_map(flat.movedim(1, -1)))


def _picture(image: Tensor | None, samples: Tensor, pixels: int) -> Tensor:
    """The picture to draw on, [B, H, W, 3]; grey without one. Raises ValueError when it does not fit the latent."""
    batch, (h, w) = samples.shape[0], samples.shape[-2:]
    if image is None:
        return torch.full((batch, h * pixels, w * pixels, 3), 0.5)
    height, width = image.shape[1:3]
    if image.shape[3] < 3:
        raise ValueError(f"image has {image.shape[3]} channels: expected a picture of 3, or of 4 with alpha.")
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
