"""LIMEAttnRegularizeModel: a model whose cross-attention keeps an edit to its region."""

from dataclasses import replace

from comfy_api.latest import io
from torch import Tensor

from ..lime_ops import PUBLISHED, RECOMMENDED
from .hooks.regularizer import regularize_model
from .schema import advanced, one_of, schema
from .sockets import Tokens, TokensSocket

ALL, INSTRUCTION = "all", "instruction only"


class AttnRegularizeModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEAttnRegularizeModel",
            display_name="LIME Attention Regularize Model",
            search_aliases=["localized edit", "regional prompt", "attention mask"],
            category="LIME",
            description=(
                "Inside the mask only the chosen words of the instruction act where the model attends to the text: "
                "its other words and the start token are masked. Works on a clone: the model that comes in is "
                "unchanged."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The instruction-editing model, with any LoRA or patch you like."),
                io.Mask.Input("mask", tooltip="The region, from LIME Attention RoI or any other mask node."),
                TokensSocket.Input("tokens", tooltip="From LIME Words, of the instruction that is sampled."),
                io.Float.Input(
                    "strength",
                    optional=True,
                    default=RECOMMENDED.strength,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="1 excludes unrelated tokens inside the mask (published), 0 changes nothing; between, "
                    "their weight in the attention is multiplied by 1 - strength: the paper's penalty alpha is "
                    "-log(1 - strength).",
                ),
                advanced(
                    io.Float.Input(
                        "start_percent",
                        optional=True,
                        default=RECOMMENDED.start_percent,
                        min=0.0,
                        max=1.0,
                        step=0.001,
                        tooltip="From where in the sampling, as in ComfyUI's other nodes: 0 is pure noise.",
                    )
                ),
                advanced(
                    io.Float.Input(
                        "end_percent",
                        optional=True,
                        default=RECOMMENDED.end_percent,
                        min=0.0,
                        max=1.0,
                        step=0.001,
                        tooltip=f"Until where in the sampling. Published: {PUBLISHED.end_percent} (27 of 30 steps); "
                        "paper: 0.75.",
                    )
                ),
                advanced(
                    io.Combo.Input(
                        "branches",
                        optional=True,
                        options=[ALL, INSTRUCTION],
                        default=INSTRUCTION if RECOMMENDED.instruction_only else ALL,
                        tooltip="Which guidance branches to regularise. In all of them the edit loses some of what "
                        "guidance adds. Published: all. Transformers: the instruction's alone.",
                    )
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Sample with this model.")],
        )

    @classmethod
    def validate_inputs(cls, start_percent: float | None = None, end_percent: float | None = None) -> bool | str:
        # The host leaves the ranges of inputs that are named here to this function.
        start, end = start_percent or 0.0, RECOMMENDED.end_percent if end_percent is None else end_percent
        if not 0 <= start < end <= 1:
            return f"start_percent is {start} and end_percent is {end}: expected 0 <= start_percent < end_percent <= 1"
        return True

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        mask: Tensor,
        tokens: Tokens,
        strength: float = RECOMMENDED.strength,
        start_percent: float = RECOMMENDED.start_percent,
        end_percent: float = RECOMMENDED.end_percent,
        branches: str = INSTRUCTION if RECOMMENDED.instruction_only else ALL,
    ) -> io.NodeOutput:
        settings = replace(
            tokens.instruction.settings,
            strength=strength,
            start_percent=start_percent,
            end_percent=end_percent,
            instruction_only=one_of("branches", branches, (ALL, INSTRUCTION)) == INSTRUCTION,
        )
        return io.NodeOutput(regularize_model(model, mask, tokens, settings))
