"""From words of an instruction to columns of the cross-attention's text axis, through the host's own tokenizer."""

import re
from typing import Any

import torch
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from comfy_api.latest import io

from ...lime_ops import Settings, TokenColumns, acting_tokens, edit_word_spans, locating_tokens
from ...lime_ops.instruction.lexicon import FUNCTION_WORDS
from ..sockets import Instruction, Tokens
from .families import text_encoder

Span = tuple[int, int]  # characters [start, end) of the plain text

_WORD = re.compile(r"[^\s,;:.!?\"()]+")
_END_OF_WORD = "</w>"  # in CLIP's vocabulary


def encode_instruction(clip: io.Clip.Type, text: str, settings: Settings) -> tuple[list, Instruction]:
    """(conditioning as from CLIP Text Encode, the instruction). Raises ValueError when the text is empty."""
    plain = plain_text(text)
    with_ids = clip.tokenize(text, return_word_ids=True)
    encoder = text_encoder(with_ids)
    columns, ends = _columns(with_ids[encoder])
    tokens = [entry[0] for chunk in with_ids[encoder] for entry in chunk if entry[2] != 0]
    starts = _spelled_starts(getattr(clip.tokenizer, clip.tokenizer.clip), tokens, plain)
    if starts is None:
        starts = _counted_starts(clip.tokenizer, encoder, text, plain, len(tokens))
    conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    return conditioning, Instruction(plain, tuple(starts), tuple(columns), tuple(ends), conditioning[0][0], settings)


def choose_words(instruction: Instruction, focus: str = "", ignore: str = "") -> Tokens:
    """The words to edit and what they may do. Raises ValueError as `word_spans` does."""
    spans = word_spans(instruction.text, focus, ignore)
    functions = [(a, b) for a, b in _words(instruction.text) if instruction.text[a:b].lower() in FUNCTION_WORDS]
    columns = TokenColumns(
        chosen=_columns_of(instruction, spans),
        functions=_columns_of(instruction, functions),
        text=list(instruction.columns),
        ends=list(instruction.ends),
    )
    unrelated = torch.ones(instruction.embedding.shape[1], dtype=torch.bool)
    unrelated[acting_tokens(columns, instruction.settings)] = False
    words = tuple(instruction.text[a:b] for a, b in spans)
    return Tokens(instruction, words, tuple(locating_tokens(columns, instruction.settings)), unrelated)


def weighted_parts(text: str) -> list[str]:
    """The pieces between weight brackets, which the host tokenizes one by one; joined, they are the plain text."""
    return [unescape_important(part) for part, _ in token_weights(escape_important(text), 1.0)]


def plain_text(text: str) -> str:
    """The instruction without weight syntax: 'a (red:1.2) hat' -> 'a red hat'. Raises ValueError when it is empty."""
    plain = "".join(weighted_parts(text))
    if not plain.strip():
        raise ValueError("text is empty: expected an instruction such as 'make her outfit black'")
    return plain


def word_spans(plain: str, focus: str, ignore: str) -> list[Span]:
    """The words to edit: those of `focus`, or the automatic choice; then without those of `ignore`.

    An instruction with function words only ("do it") falls back on all its words. Raises ValueError when a word of
    `focus` or `ignore` is not in the instruction, or when nothing is left.
    """
    every = _words(plain)
    if not every:
        raise ValueError(f"the instruction {plain!r} has no words: expected one such as 'make her outfit black'")
    spans = _find(plain, every, focus, "focus") if focus.strip() else edit_word_spans(plain) or every
    ignored = set(_find(plain, every, ignore, "ignore"))
    kept = [span for span in spans if not any(a <= span[0] and span[1] <= b for a, b in ignored)]
    if not kept:
        raise ValueError(f"ignore leaves no word of {plain!r}: chosen were {[plain[a:b] for a, b in spans]}")
    return kept


def _words(plain: str) -> list[Span]:
    return [match.span() for match in _WORD.finditer(plain)]


def _find(plain: str, every: list[Span], wanted: str, name: str) -> list[Span]:
    spans = []
    for word in _WORD.findall(wanted):
        found = [(a, b) for a, b in every if plain[a:b].lower() == word.lower()]
        if not found:
            words = ", ".join(plain[a:b] for a, b in every)
            raise ValueError(f"{name}: {word!r} is not in the instruction. Its words are: {words}")
        spans += found
    return sorted(set(spans))


def _columns(chunks: list[list[tuple]]) -> tuple[list[int], list[int]]:
    """(columns of the text's tokens, of each chunk's first end token) of chunks of (token, weight, word id).

    The word id is 0 for start, end and padding.
    """
    columns, ends, start = [], [], 0
    for chunk in chunks:
        words = [i for i, entry in enumerate(chunk) if entry[2] != 0]
        columns += [start + i for i in words]
        if max(words, default=0) + 1 < len(chunk):
            ends.append(start + max(words, default=0) + 1)
        start += len(chunk)
    return columns, ends


def _columns_of(instruction: Instruction, spans: list[Span]) -> list[int]:
    """Columns, ascending, of the tokens that begin in one of the spans."""
    tokens = zip(instruction.starts, instruction.columns, strict=True)
    return [column for start, column in tokens if any(a <= start < b for a, b in spans)]


def _spelled_starts(tokenizer: Any, tokens: list, plain: str) -> list[int] | None:
    """The character each token begins at, by spelling the tokens against the text; None where they spell another."""
    letters = [(letter, i) for i, char in enumerate(plain) if not char.isspace() for letter in char.lower()]
    starts, position = [], 0
    for token in tokens:
        piece = tokenizer.inv_vocab[token].removesuffix(_END_OF_WORD)
        if "".join(letter for letter, _ in letters[position : position + len(piece)]) != piece:
            return None
        starts.append(letters[position][1])
        position += len(piece)
    return starts if position == len(letters) else None


def _counted_starts(tokenizer: Any, encoder: str, text: str, plain: str, tokens: int) -> list[int]:
    """The same by counting the tokens of the text before each word: slower, for characters that CLIP rewrites.

    CLIP's tokenizer splits at words first, so that the number of tokens before a word does not depend on what follows.
    """
    parts = weighted_parts(text)

    def tokens_before(position: int) -> int:
        count = 0
        for part in parts:
            count += _count(tokenizer, encoder, part[:position])
            position -= len(part)
            if position <= 0:
                break
        return count

    starts = [-1] * tokens  # what stands between words belongs to none
    for a, b in _words(plain):
        for token in range(tokens_before(a), min(tokens_before(b), tokens)):
            starts[token] = a
    return starts


def _count(tokenizer: Any, encoder: str, text: str) -> int:
    chunks = tokenizer.tokenize_with_weights(text, return_word_ids=True, disable_weights=True)[encoder]
    return sum(entry[2] != 0 for chunk in chunks for entry in chunk)
