"""LIMEWords: the words of an instruction that say where the edit is, and may act there."""

from comfy_api.latest import io, ui

from .hooks.text_columns import choose_words
from .schema import schema
from .sockets import Instruction, InstructionSocket, TokensSocket


class Words(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LIMEWords",
            display_name="LIME Words (what to edit)",
            search_aliases=["find region", "focus", "words"],
            category="LIME",
            description=(
                "Chooses the words that say what is edited and what it becomes. They find the region with "
                "InstructPix2Pix, SD1.5 and SDXL (LIME Attention RoI), and are the ones that may act inside it "
                "(LIME Attention Regularize Model). Shows the chosen words. "
                "Changing them runs neither the text encoder nor the probe again."
            ),
            inputs=[
                InstructionSocket.Input("instruction", tooltip="From LIME Instruction."),
                io.String.Input(
                    "focus",
                    optional=True,
                    default="",
                    tooltip="The words to edit, as they stand in the text, separated by spaces or commas. "
                    "Empty: chosen automatically.",
                ),
                io.String.Input(
                    "ignore",
                    optional=True,
                    default="",
                    tooltip="Words to leave out of the automatic choice, separated by spaces or commas.",
                ),
            ],
            outputs=[TokensSocket.Output(display_name="tokens", tooltip="The chosen words as text tokens.")],
        )

    @classmethod
    def execute(cls, instruction: Instruction, focus: str = "", ignore: str = "") -> io.NodeOutput:
        tokens = choose_words(instruction, focus, ignore)
        return io.NodeOutput(tokens, ui=ui.PreviewText(" · ".join(tokens.words) or "(no word)"))
