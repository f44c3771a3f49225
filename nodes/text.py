"""From words of an instruction to columns of the cross-attention's text axis, through the host's own tokenizer."""

import re
from typing import Any, NamedTuple

from comfy.sd1_clip import escape_important, token_weights, unescape_important

from ..lime_ops import edit_word_spans
from ..lime_ops.instruction.lexicon import FUNCTION_WORDS

Span = tuple[int, int]  # characters [start, end) of the plain text

_WORD = re.compile(r"[^\s,;:.!?\"()]+")


class Columns(NamedTuple):
    words: list[int]  # tokens of the chosen words
    text: list[int]  # tokens of all words
    ends: list[int]  # the first end token of each chunk: it sums the sentence up (published: may speak)


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
    every = [match.span() for match in _WORD.finditer(plain)]
    if not every:
        raise ValueError(f"the instruction {plain!r} has no words: expected one such as 'make her outfit black'")
    spans = _find(plain, every, focus, "focus") if focus.strip() else edit_word_spans(plain) or every
    ignored = set(_find(plain, every, ignore, "ignore"))
    kept = [span for span in spans if not any(a <= span[0] and span[1] <= b for a, b in ignored)]
    if not kept:
        raise ValueError(f"ignore leaves no word of {plain!r}: chosen were {[plain[a:b] for a, b in spans]}")
    return kept


def function_word_spans(plain: str) -> list[Span]:
    """The words that name nothing. They stand for the published code's stop words (NLTK's list)."""
    every = (match.span() for match in _WORD.finditer(plain))
    return [(a, b) for a, b in every if plain[a:b].lower() in FUNCTION_WORDS]


def _find(plain: str, every: list[Span], wanted: str, name: str) -> list[Span]:
    spans = []
    for word in _WORD.findall(wanted):
        found = [(a, b) for a, b in every if plain[a:b].lower() == word.lower()]
        if not found:
            words = ", ".join(plain[a:b] for a, b in every)
            raise ValueError(f"{name}: {word!r} is not in the instruction. Its words are: {words}")
        spans += found
    return sorted(set(spans))


def token_columns(tokenizer: Any, tokens: dict[str, list], text: str, spans: list[Span]) -> Columns:
    """Columns of the words at `spans` (characters of the plain text) and of the end tokens.

    `tokens` is the host's tokenization with word ids: {encoder: chunks of (token, weight, word id)}, id 0 for
    start, end and padding. CLIP's tokenizer splits at words first, so the number of tokens before a word is the
    length of the tokenized text before it.
    """
    encoder = "l" if "l" in tokens else next(iter(tokens))
    chunks = tokens[encoder]
    flat = [entry for chunk in chunks for entry in chunk]
    text_columns = [column for column, entry in enumerate(flat) if entry[2] != 0]
    ends, start = [], 0
    for chunk in chunks:
        last = max((i for i, entry in enumerate(chunk) if entry[2] != 0), default=0)
        ends.append(start + last + 1)
        start += len(chunk)

    def tokens_before(position: int) -> int:
        count = 0
        for part in weighted_parts(text):
            count += _count(tokenizer, encoder, part[:position])
            position -= len(part)
            if position <= 0:
                break
        return count

    columns = [c for a, b in spans for c in text_columns[tokens_before(a) : tokens_before(b)]]
    return Columns(sorted(set(columns)), text_columns, [e for e in ends if e < len(flat)])


def _count(tokenizer: Any, encoder: str, text: str) -> int:
    chunks = tokenizer.tokenize_with_weights(text, return_word_ids=True, disable_weights=True)[encoder]
    return sum(entry[2] != 0 for chunk in chunks for entry in chunk)
