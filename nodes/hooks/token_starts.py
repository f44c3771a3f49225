"""Where in an instruction's plain text each of the host's tokens begins.

Tokens are placed by their letters (`spelling`), which the text must have too, in the same order. Where it has others,
as with characters that T5 does not know, the text is cut at its blanks, and tokens are counted.
"""

import re
from bisect import bisect_right
from itertools import chain

from comfy.sd1_clip import SDTokenizer
from torch import Tensor

from ...lime_ops.instruction import Span
from .prompt_syntax import EMBEDDING, Part
from .spelling import VECTOR, Range, letters_of, spell, speller

Token = int | Tensor  # a number of the vocabulary, or one vector of an embedding

_CHUNK = re.compile(rf"(?<!\S){EMBEDDING}(?:\s+)?\S+")
_AFTER_NAME = re.compile(r"[<\[].*|,*$")  # where the host ends an embedding's name


def token_bytes(tokenizer: SDTokenizer, tokens: list[Token]) -> list[bytes]:
    """How each token is spelled, in UTF-8."""
    spelling = speller(tokenizer)
    return [VECTOR.encode() if isinstance(token, Tensor) else spelling(token) for token in tokens]


def starts_by_letters(
    tokenizer: SDTokenizer, parts: list[Part], text: str, letters: str, ranges: list[Range], words: list[Span]
) -> list[int] | None:
    """For each token the character of the plain text that it begins at, ascending; None where the letters differ.

    letters, ranges: of the text's tokens, as `spell` gives them. A token that a word begins in begins there, and one
    without letters, such as a blank, after the letter before. Letters may be missing at the end: some encoders cut long
    texts. The tokenizer is called once for each embedding. Raises ValueError where a token belongs to two words.
    """
    spelled = _text_letters(tokenizer, parts)
    if "".join(letter for letter, _ in spelled)[: len(letters)] != letters:
        return None
    origins = [origin for _, origin in spelled]
    begins = [start for start, _ in words]
    starts = []
    for first, after in ranges:
        low, high = (
            (origins[first], origins[after - 1])
            if first < after
            else (origins[first - 1] + 1 if first else parts[0].start,) * 2
        )
        within = words[max(bisect_right(begins, low) - 1, 0) : bisect_right(begins, high)]
        touched = [(start, end) for start, end in within if start <= high and low < end]
        if len(touched) > 1:
            raise _joined(text[touched[0][0] : touched[-1][1]])
        starts.append(max(low, touched[0][0]) if touched else low)
    return starts


def starts_by_chunks(
    tokenizer: SDTokenizer, parts: list[Part], text: str, tokens: list[Token], words: list[Span]
) -> list[int]:
    """The same by tokenizing each stretch without blanks by itself, all in one call of the tokenizer.

    A stretch whose letters differ is one word's. Raises ValueError where it has several, or where the stretches' tokens
    are not the text's.
    """
    chunks = [Part(start + m.start(), m.group()) for start, part in parts for m in re.finditer(r"\S+", part)]
    tail = -1 if tokenizer.tokenizer_adds_end_token else None
    rows = tokenizer.tokenizer([chunk.text for chunk in chunks])["input_ids"]
    ids = [row[tokenizer.tokens_start : tail] for row in rows]
    if list(chain.from_iterable(ids)) != tokens:
        raise _joined(text)
    starts = []
    for chunk, row in zip(chunks, ids, strict=True):
        letters, ranges = spell(token_bytes(tokenizer, row))
        within = starts_by_letters(tokenizer, [chunk], text, letters, ranges, words)
        if within is None:
            inside = [start for start, _ in words if chunk.start <= start < chunk.start + len(chunk.text)]
            if len(inside) > 1:
                raise _joined(chunk.text)
            within = [inside[0] if inside else chunk.start] * len(row)
        starts += within
    return starts


def _joined(read: str) -> ValueError:
    return ValueError(
        f"text has {read!r}, of which the text encoder makes something else, so that its words cannot be told "
        "apart: expected plain letters, or a space between the words"
    )


def _text_letters(tokenizer: SDTokenizer, parts: list[Part]) -> list[tuple[str, int]]:
    """The letters of a text, each with its place: those of an embedding are its vectors, none if it is not found."""
    letters: list[tuple[str, int]] = []
    for start, text in parts:
        end = 0
        for match in _CHUNK.finditer(text) if tokenizer.embedding_directory is not None else ():
            letters += _plain_letters(text[end : match.start()], start + end)
            vectors, rest = _embedding(tokenizer, match.group())
            letters += [(VECTOR, start + match.start())] * vectors
            letters += _plain_letters(rest, start + match.end() - len(rest))
            end = match.end()
        letters += _plain_letters(text[end:], start + end)
    return letters


def _plain_letters(text: str, start: int) -> list[tuple[str, int]]:
    return [(letter, start + i) for i, char in enumerate(text) for letter in letters_of(char)]


def _embedding(tokenizer: SDTokenizer, chunk: str) -> tuple[int, str]:
    """(how many vectors the host puts for the name, 0 if it finds no such file, what it reads after the name)."""
    chunks = tokenizer.tokenize_with_weights(chunk, return_word_ids=True, disable_weights=True)
    tokens = [token for entries in chunks for token, _, word in entries if word != 0]
    vectors = sum(isinstance(token, Tensor) for token in tokens)
    rest = _AFTER_NAME.search(chunk)
    return vectors, chunk[rest.start() :] if rest and len(tokens) > vectors else ""
