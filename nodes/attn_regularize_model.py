"""LIMEAttnRegularizeModel: a model whose cross-attention keeps an edit to its region."""

import torch
from comfy.patcher_extension import WrappersMP
from comfy_api.latest import io
from torch import Tensor

from .attention_hooks import KEY, Regularizer, cross_attention_blocks
from .sockets import PUBLISHED, RECOMMENDED, Tokens, TokensSocket, mask_values

ALL, INSTRUCTION = "all", "instruction only"


class AttnRegularizeModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMEAttnRegularizeModel",
            display_name="LIME Attention Regularize Model",
            category="LIME",
            description=(
                "Inside the mask, keeps start token, function words and padding from speaking in cross-attention, so "
                "that the instruction's words decide there. Works on a clone: the model that comes in is unchanged."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The instruction-editing model, with any LoRA or patch you like."),
                io.Mask.Input("mask", tooltip="The region, from LIME Attention RoI or any other mask node."),
                TokensSocket.Input("tokens", tooltip="From the LIME Instruction that is sampled."),
                io.Float.Input(
                    "strength",
                    default=0.9,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="1 silences unrelated tokens inside the mask (published), 0 changes nothing; between, "
                    "their weight in the attention is multiplied by 1 - strength.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="From where in the sampling, as in ComfyUI's other nodes: 0 is pure noise.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=0.9,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Until where in the sampling. Published: 0.9 (27 of 30 steps); paper: 0.75.",
                ),
                io.Combo.Input(
                    "branches",
                    options=[ALL, INSTRUCTION],
                    default=ALL,
                    tooltip="Which guidance branches to regularise. Published: all.",
                ),
                io.Combo.Input(
                    "layers",
                    options=[RECOMMENDED, PUBLISHED],
                    default=RECOMMENDED,
                    tooltip="Which layers to regularise. Recommended: those finer than a quarter of the latent. "
                    "Published: finer than 16 x 16, which is the same at 512 px.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Sample with this model.")],
        )

    @classmethod
    def validate_inputs(cls, start_percent: float | None = None, end_percent: float | None = None) -> bool | str:
        # The host leaves the ranges of inputs that are named here to this function.
        start, end = start_percent or 0.0, 1.0 if end_percent is None else end_percent
        if not 0 <= start < end <= 1:
            return f"start_percent is {start} and end_percent is {end}: expected 0 <= start_percent < end_percent <= 1"
        return True

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        mask: Tensor,
        tokens: Tokens,
        strength: float,
        start_percent: float,
        end_percent: float,
        branches: str,
        layers: str = RECOMMENDED,
    ) -> io.NodeOutput:
        if model.get_wrappers(WrappersMP.PREDICT_NOISE, KEY):
            raise ValueError("the model already has a LIME region: LIME Attention Regularize Model works once a model.")
        sampling = model.get_model_object("model_sampling")
        regularizer = Regularizer(
            blocks=cross_attention_blocks(model),
            region=_region(mask),
            unrelated=tokens.unrelated[None],
            embedding=tokens.embedding,
            strength=strength,
            first=sampling.percent_to_sigma(start_percent),
            last=sampling.percent_to_sigma(end_percent),
            instruction_only=branches == INSTRUCTION,
            published=layers == PUBLISHED,
        )
        model = model.clone()
        model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, regularizer.outer_sample)
        model.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, regularizer.predict_noise)
        return io.NodeOutput(model)


def _region(mask: Tensor) -> Tensor:
    """The mask [B, H, W] as bool where it is all 0 and 1, which is faster, else clamped to [0, 1]."""
    mask = mask_values(mask)
    inside = mask == 1
    return inside if torch.equal(inside.float(), mask) else mask
