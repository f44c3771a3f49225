"""What a probe's own inputs show to be wrong, refused before it samples."""

from torch import Tensor

from ...lime_ops import Settings
from .conditionings import frames_of
from .families import Family


def check_steps(sigmas: Tensor, steps: int) -> None:
    """Raises ValueError unless a schedule has more steps than the probe, and the probe's last one is a step down."""
    scheduled = max(len(sigmas) - 1, 0)
    if not 1 <= steps < scheduled:
        raise ValueError(
            f"steps is {steps} but the schedule has {scheduled} steps: give LIME Probe the whole "
            "schedule and at least 1 step, but fewer than the schedule has."
        )
    if not sigmas[steps - 1] > sigmas[steps]:
        raise ValueError(
            f"sigmas goes from {sigmas[steps - 1]:.4g} to {sigmas[steps]:.4g} in the probe's step {steps}: expected a "
            "schedule that falls there. Choose other steps or another scheduler."
        )


def check_latent(latent: dict, family: Family, pixels: int, settings: Settings) -> None:
    """Raises ValueError when a latent cannot be probed.

    It is empty, of several frames, has a noise mask, or is too small for any layer to count. pixels: of the picture, to
    a latent pixel.
    """
    samples = latent["samples"]
    size = tuple(samples.shape[-2:])
    if frames_of(samples) > 1:
        raise ValueError(
            f"latent_image has {frames_of(samples)} frames: LIME Probe finds regions in pictures, of one frame each."
        )
    if samples.shape[0] == 0:
        raise ValueError("latent_image has no images: expected a batch of at least 1.")
    if latent.get("noise_mask") is not None:
        raise ValueError(
            "latent_image has a noise mask (SetLatentNoiseMask, inpainting): sampling on from the probe would take the "
            "noisy latent for the picture. Leave it out and give that mask to LIME Keep Outside."
        )
    if not any(family.recorded(layer, size, settings) for layer in family.sizes(size)):
        raise ValueError(
            f"latent_image is of {size[1] * pixels}x{size[0] * pixels} pixels (width x height): too small for any "
            "layer of this model to outline something. Use a larger picture."
        )
