"""LIMEInstruction: encodes an instruction and finds the words that say what is edited and what it becomes."""

import torch
from comfy_api.latest import io, ui

from .sockets import PUBLISHED, RECOMMENDED, Tokens, TokensSocket
from .text import function_word_spans, plain_text, token_columns, word_spans


class Instruction(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMEInstruction",
            display_name="LIME Instruction",
            category="LIME",
            description=(
                "Encodes an edit instruction and chooses the words that say what is edited and what it becomes. "
                "Those words find the region (LIME Attention RoI) and are the ones that may act inside it "
                "(LIME Attention Regularize Model). Shows the chosen words."
            ),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder of the instruction-editing checkpoint."),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    tooltip="What to change, for example: make her outfit black. Weights (black:1.2) work.",
                ),
                io.String.Input(
                    "focus",
                    default="",
                    tooltip="The words to edit, as they stand in the text, separated by spaces or commas. "
                    "Empty: chosen automatically.",
                ),
                io.String.Input(
                    "ignore",
                    default="",
                    tooltip="Words to leave out of the automatic choice, separated by spaces or commas.",
                ),
                io.Combo.Input(
                    "choice",
                    options=[RECOMMENDED, PUBLISHED],
                    default=RECOMMENDED,
                    tooltip="Recommended: the chosen words locate the region, and speak inside it with the end token. "
                    "Published: the end token locates too; all but start, function words and padding speak.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning", tooltip="The encoded instruction, as from CLIP Text Encode."
                ),
                TokensSocket.Output(display_name="tokens", tooltip="The chosen words as text tokens."),
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        if text is not None and not text.strip():
            return "text is empty: expected an instruction such as 'make her outfit black'"
        return True

    @classmethod
    def execute(
        cls, clip: io.Clip.Type, text: str, focus: str = "", ignore: str = "", choice: str = RECOMMENDED
    ) -> io.NodeOutput:
        plain = plain_text(text)
        spans = word_spans(plain, focus, ignore)
        chunks = clip.tokenize(text, return_word_ids=True)
        columns = token_columns(clip.tokenizer, chunks, text, spans)
        locating, speaking = columns.words, columns.words + columns.ends
        if choice == PUBLISHED:
            functions = token_columns(clip.tokenizer, chunks, text, function_word_spans(plain)).words
            locating = columns.words + columns.ends
            speaking = sorted({*columns.text, *columns.ends} - {*functions})
        conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
        embedding = conditioning[0][0]
        unrelated = torch.ones(embedding.shape[1], dtype=torch.bool)
        unrelated[speaking] = False
        words = tuple(plain[a:b] for a, b in spans)
        tokens = Tokens(plain, words, tuple(locating), unrelated, embedding)
        return io.NodeOutput(conditioning, tokens, ui=ui.PreviewText(" · ".join(words)))
