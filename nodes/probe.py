"""LIMEProbe: samples the first steps and records what the model attends to."""

from dataclasses import replace

from comfy.samplers import CFGGuider, Sampler
from comfy_api.latest import io
from torch import Tensor

from .hooks.probe import probe
from .schema import advanced, one_of, schema
from .sockets import CaptureSocket, Instruction, InstructionSocket

LAST, MEAN = "last step", "mean"
MEAN_SHARE = 0.4  # of the probe's steps: the paper averages steps 30 to 50


class Probe(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEProbe",
            display_name="LIME Probe (find region)",
            search_aliases=["find region", "record attention", "localized edit"],
            category="LIME",
            description=(
                "Samples the first steps of an edit and records the model's attention and features on the way. "
                "LIME Feature Cluster and LIME Attention RoI read the region from the record. Continue from its latent "
                "and sigmas (with DisableNoise) for an edit in as many steps as a plain one, or sample again from the "
                "start."
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
                InstructionSocket.Input(
                    "instruction", tooltip="From the LIME Instruction whose conditioning the guider samples."
                ),
                advanced(
                    io.Int.Input(
                        "steps",
                        optional=True,
                        default=0,
                        min=0,
                        max=10000,
                        tooltip="How many steps to sample. 0: as large a share of the schedule as the published 11 of "
                        "30. Fewer are cheaper and vaguer.",
                    )
                ),
                advanced(
                    io.Combo.Input(
                        "record",
                        optional=True,
                        options=[LAST, MEAN],
                        default=LAST,
                        tooltip=f"'{LAST}': the last of these steps, as the published code does. "
                        f"'{MEAN}': the mean over the last 40 % of them, as the paper does (its steps 30 to 50).",
                    )
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The photograph itself, as it was loaded: not its scaled copy. Previews are drawn on it, "
                    "and the mask gets its size and outlines. Without it the mask has the latent's size in pixels.",
                ),
                io.Latent.Input(
                    "source",
                    optional=True,
                    tooltip="The picture's latent, from VAE Encode, on models whose region comes from what they change "
                    "in the picture (Flux, Qwen-Image, ...). Not needed where a conditioning carries it or the "
                    "latent_image is it.",
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
        instruction: Instruction,
        steps: int = 0,
        record: str = LAST,
        image: Tensor | None = None,
        source: dict | None = None,
    ) -> io.NodeOutput:
        steps = steps or instruction.settings.probe_steps(len(sigmas) - 1)
        mean_share = MEAN_SHARE if one_of("record", record, (LAST, MEAN)) == MEAN else 0.0
        settings = replace(instruction.settings, steps=steps, mean_share=mean_share)
        given = source["samples"] if source else None
        capture, noisy = probe(guider, noise, sampler, sigmas, latent_image, image, instruction, settings, given)
        return io.NodeOutput(capture, noisy, sigmas[steps:])
