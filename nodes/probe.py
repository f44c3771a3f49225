"""LIMEProbe: samples the first steps and records what the model attends to."""

import copy

import comfy.model_management
import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider, Sampler
from comfy_api.latest import io
from torch import Tensor

from .attention_hooks import KEY, Recorder, cross_attention_blocks
from .sockets import PUBLISHED, RECOMMENDED, Capture, CaptureSocket

LAST, MEAN = "last step", "mean"
PIXELS_PER_LATENT = 8  # of SD's autoencoders; only sizes the mask when no image is given
MEAN_PART = 0.4  # of the probe's steps: the paper averages steps 30 to 50


class Probe(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMEProbe",
            display_name="LIME Probe",
            category="LIME",
            description=(
                "Samples the first steps of an edit and records the model's attention and features on the way. "
                "LIME Feature Cluster and LIME Attention RoI read the region from the record. Continue from its latent "
                "and sigmas (with DisableNoise) for an edit at the cost of a plain one, or sample again from the start."
            ),
            inputs=[
                io.Guider.Input(
                    "guider",
                    tooltip="DualCFGGuider with cond1 = instruction + image, cond2 = empty text + image, negative = "
                    "empty text. CFGGuider and BasicGuider work too.",
                ),
                io.Noise.Input("noise", tooltip="The noise of the edit (RandomNoise)."),
                io.Sampler.Input("sampler", tooltip="The sampler of the edit."),
                io.Sigmas.Input("sigmas", tooltip="The whole schedule of the edit; the probe takes its first steps."),
                io.Latent.Input("latent_image", tooltip="The latent of the edit, from InstructPixToPixConditioning."),
                io.Int.Input(
                    "steps",
                    default=11,
                    min=1,
                    max=10000,
                    tooltip="How many steps to sample. Published: 11 of 30. Fewer are cheaper and vaguer.",
                ),
                io.Combo.Input(
                    "record",
                    options=[LAST, MEAN],
                    default=LAST,
                    tooltip=f"'{LAST}': the last of these steps, as the published code does. "
                    f"'{MEAN}': the mean over the last 40 % of them, as the paper does (its steps 30 to 50).",
                ),
                io.Combo.Input(
                    "maps",
                    options=[RECOMMENDED, PUBLISHED],
                    default=RECOMMENDED,
                    tooltip="Which layers' maps to record and how to lay them over the picture. Published: stretched, "
                    "so that the outermost pixels' centres lie on the picture's edge, and below 256 px layers of fewer "
                    "than 8 x 8 pixels too.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture that is edited. Previews are drawn on it, and the mask gets its size and "
                    "follows its outlines. Without it the mask has 8 pixels for each latent pixel.",
                ),
            ],
            outputs=[
                CaptureSocket.Output(display_name="capture", tooltip="Attention and features of the recorded steps."),
                io.Latent.Output(
                    display_name="latent", tooltip="The noisy latent after these steps, to continue from."
                ),
                io.Sigmas.Output(display_name="sigmas", tooltip="The steps that are left."),
            ],
        )

    @classmethod
    def execute(
        cls,
        guider: CFGGuider,
        noise: io.Noise.Type,
        sampler: Sampler,
        sigmas: Tensor,
        latent_image: dict,
        steps: int,
        record: str,
        maps: str = RECOMMENDED,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        if steps >= len(sigmas):
            raise ValueError(
                f"steps is {steps} but the schedule has {max(len(sigmas) - 1, 0)} steps: "
                "give LIME Probe the whole schedule, or fewer steps."
            )
        samples = comfy.sample.fix_empty_latent_channels(guider.model_patcher, latent_image["samples"])
        latent = {**latent_image, "samples": samples}
        picture = _picture(image, samples)
        first = steps - 1 if record == LAST else int(steps * (1 - MEAN_PART))
        recorder = Recorder(
            cross_attention_blocks(guider.model_patcher),
            first=sigmas[first].item(),
            last=sigmas[steps].item(),
            mean=record == MEAN,
            published=maps == PUBLISHED,
        )
        noisy = _sample(_with_recorder(guider, recorder), noise, sampler, sigmas[: steps + 1], latent)
        latent_size = tuple(samples.shape[-2:])
        capture = Capture(recorder.attention(), recorder.features(), latent_size, picture, maps == PUBLISHED)
        return io.NodeOutput(capture, {**latent, "samples": noisy}, sigmas[steps:])


def _picture(image: Tensor | None, samples: Tensor) -> Tensor:
    """The picture to draw on, [B, H, W, 3]; grey without one. Raises ValueError when it does not fit the latent."""
    batch, (h, w) = samples.shape[0], samples.shape[-2:]
    if image is None:
        return torch.full((batch, h * PIXELS_PER_LATENT, w * PIXELS_PER_LATENT, 3), 0.5)
    height, width = image.shape[1:3]
    if image.shape[0] not in (1, batch) or abs(height / h - width / w) >= 1:
        raise ValueError(
            f"image is {image.shape[0]} x {width}x{height} but the latent is {batch} x {w}x{h}: "
            "expected the picture that the latent was made from."
        )
    return image[..., :3].expand(batch, -1, -1, -1)


def _with_recorder(guider: CFGGuider, recorder: Recorder) -> CFGGuider:
    """A copy of the guider on a clone of its model, with the recorder innermost of its wrappers."""
    guider = copy.copy(guider)
    guider.model_patcher = guider.model_patcher.clone()
    guider.model_patcher.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, recorder.predict_noise)
    return guider


def _sample(guider: CFGGuider, noise: io.Noise.Type, sampler: Sampler, sigmas: Tensor, latent: dict) -> Tensor:
    """As SamplerCustomAdvanced does, with its progress bar and preview."""
    callback = latent_preview.prepare_callback(guider.model_patcher, len(sigmas) - 1)
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
