"""LIMEInstruction: encodes an instruction and remembers where its words stand."""

from comfy_api.latest import io

from ..lime_ops import PUBLISHED, RECOMMENDED
from .hooks.text_columns import encode_instruction
from .schema import advanced, one_of, schema
from .sockets import InstructionSocket

SETTINGS = {"recommended": RECOMMENDED, "published": PUBLISHED}


class Instruction(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEInstruction",
            display_name="LIME Instruction (localized edit, ip2p)",
            search_aliases=["localized edit", "instruct pix2pix", "ip2p", "edit instruction", "prompt"],
            category="LIME",
            description=(
                "Encodes an edit instruction, as CLIP Text Encode does, or takes it as another node encoded it, and "
                "finds where each of its words stands in the encoded text. LIME Words chooses among them."
            ),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder of the editing model."),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    tooltip="What to change, for example: make her outfit black. Weights (black:1.2) work where "
                    "the encoder reads them (CLIP, T5 and some others).",
                ),
                advanced(
                    io.Combo.Input(
                        "setting",
                        optional=True,
                        options=list(SETTINGS),
                        default="recommended",
                        tooltip="For this and all LIME nodes behind it. Recommended: what this pack found best. "
                        "Published: the choices of the published code, to repeat its results; then set 8 clusters, "
                        "strength 1 and all branches too.",
                    )
                ),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="The same text as another node encoded it with the same clip, for example "
                    "TextEncodeQwenImageEdit with its pictures. The words are found in it, and the text is not encoded "
                    "again.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning",
                    tooltip="The encoded instruction, as from CLIP Text Encode, or the given one.",
                ),
                InstructionSocket.Output(
                    display_name="instruction", tooltip="The instruction's words, for LIME Words and LIME Probe."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        if text is not None and not text.strip():
            return "text is empty: expected an instruction such as 'make her outfit black'"
        return True

    @classmethod
    def execute(
        cls, clip: io.Clip.Type, text: str, setting: str = "recommended", conditioning: list | None = None
    ) -> io.NodeOutput:
        settings = SETTINGS[one_of("setting", setting, SETTINGS)]
        return io.NodeOutput(*encode_instruction(clip, text, settings, conditioning))
