"""Where in an instruction's plain text each of the host's tokens begins.

The slow tokenizers of transformers 4 do not tell, and all rewrite the text first: case, accents, invisible characters,
with ftfy installed also quotes and ligatures. So the text is cut where CLIP's tokenizer cuts it, all pieces are
tokenized in one call, and their tokens are compared with the host's. Pieces that the tokenizer reads otherwise when
they stand together are taken as one; if that holds two words, their tokens cannot be told apart, and an error says so.
"""

import re
from bisect import bisect_left
from itertools import chain
from typing import NamedTuple

import comfy.sd1_clip
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from torch import Tensor

from ...lime_ops.instruction import Span
from ...lime_ops.instruction.words import LETTERS

Token = int | Tensor  # a number of the vocabulary, or one vector of an embedding

EMBEDDING = "embedding:"  # the host's mark before the name of a file with learned vectors
_VECTOR = -1  # stands for an embedding's vector where tokens are compared

_CHUNK = re.compile(rf"\s*(?:{EMBEDDING}\s+)?\S+")
_AFTER_NAME = re.compile(r"[<\[].*|,*$")  # where the host ends an embedding's name
_NAMELESS = re.compile(rf"(?:^|\s){EMBEDDING}\s*(?=$|{EMBEDDING})")
_PIECE = re.compile(rf"\s*(?:'(?:s|t|re|ve|m|ll|d)|{LETTERS}|(?:[^\w\s]|_)+)", re.I)  # as CLIP, digits together


class Part(NamedTuple):
    """A piece between weight brackets, which the host tokenizes by itself, and where it begins in the plain text."""

    start: int
    text: str


class _Stretch(NamedTuple):
    """The characters [start, end) of the plain text and their tokens."""

    start: int
    end: int
    tokens: list[int]


def weighted_parts(text: str) -> list[Part]:
    """The parts of a text with weights: "a (red:1.2) hat" gives "a ", "red" and " hat".

    Two words that only brackets keep apart, as in "(red:1.3)(hat:1.2)", get a space between them in the plain text.
    """
    parts: list[Part] = []
    end, last = 0, ""
    for escaped, _ in token_weights(escape_important(text), 1.0):
        if part := unescape_important(escaped):
            start = end + (last.isalnum() and part[0].isalnum())
            parts.append(Part(start, part))
            end, last = start + len(part), part[-1]
    return parts


def plain_text(parts: list[Part]) -> str:
    """The text without weight syntax: 'a red hat'."""
    plain = ""
    for start, part in parts:
        plain = plain.ljust(start) + part
    return plain


def check_embeddings(parts: list[Part]) -> None:
    """Raises ValueError where an "embedding:" has no name, at which the host itself would stumble."""
    if any(_NAMELESS.search(part.text) for part in parts):
        raise ValueError("text has 'embedding:' without a name: expected one such as 'embedding:my_style'")


def token_starts(
    tokenizer: comfy.sd1_clip.SDTokenizer, parts: list[Part], tokens: list[Token], words: list[Span]
) -> list[int]:
    """For each token the character of the plain text that it begins at, ascending.

    tokens: the host's, of the whole text, without start, end and padding. words: the text's, in order; a token of a
    word begins inside it. An embedding's vectors begin at its "embedding:". The tokenizer is called once, and once more
    for each embedding. Raises ValueError where words cannot be told apart.
    """
    chunks = [Part(start + match.start(), match.group()) for start, text in parts for match in _CHUNK.finditer(text)]
    pieces = [[Part(start + m.start(), m.group()) for m in _PIECE.finditer(text)] for start, text in chunks]
    ids = _tokenize(tokenizer, {part.text for part in chain(chunks, *pieces)})
    stretches: list[_Stretch] = []
    for chunk, within in zip(chunks, pieces, strict=True):
        if tokenizer.embedding_directory is not None and chunk.text.lstrip().startswith(EMBEDDING):
            stretches += _embedding(tokenizer, chunk)
        else:
            stretches += _fit([_stretch(piece, ids[piece.text]) for piece in within], ids[chunk.text])
    stretches = _fit(stretches, _comparable(tokens))
    starts = ([_start(stretch, words, parts)] * len(stretch.tokens) for stretch in stretches if stretch.tokens)
    return list(chain.from_iterable(starts))


def _tokenize(tokenizer: comfy.sd1_clip.SDTokenizer, texts: set[str]) -> dict[str, list[int]]:
    ordered = sorted(texts)
    return dict(zip(ordered, tokenizer.tokenizer(ordered, add_special_tokens=False)["input_ids"], strict=True))


def _comparable(tokens: list[Token]) -> list[int]:
    return [_VECTOR if isinstance(token, Tensor) else token for token in tokens]


def _stretch(part: Part, tokens: list[int]) -> _Stretch:
    return _Stretch(part.start + len(part.text) - len(part.text.lstrip()), part.start + len(part.text), tokens)


def _embedding(tokenizer: comfy.sd1_clip.SDTokenizer, chunk: Part) -> list[_Stretch]:
    """The vectors that the host puts for the name, none if it finds no such file, and what it reads after the name."""
    chunks = tokenizer.tokenize_with_weights(chunk.text.strip(), return_word_ids=True, disable_weights=True)
    tokens = _comparable([token for entries in chunks for token, _, word in entries if word != 0])
    vectors = tokens.count(_VECTOR)
    start, end = chunk.start + chunk.text.index(EMBEDDING), chunk.start + len(chunk.text)
    rest = _AFTER_NAME.search(chunk.text)
    after = chunk.start + (rest.start() if rest else len(chunk.text))
    return [_Stretch(start, start + len(EMBEDDING), tokens[:vectors]), _Stretch(after, end, tokens[vectors:])]


def _fit(stretches: list[_Stretch], tokens: list[int]) -> list[_Stretch]:
    """The stretches, made to have these tokens together: those between the first and last that differ become one."""
    if list(chain.from_iterable(stretch.tokens for stretch in stretches)) == tokens or not stretches:
        return stretches
    front, low = 0, 0
    while front < len(stretches) and tokens[low : low + len(stretches[front].tokens)] == stretches[front].tokens:
        front, low = front + 1, low + len(stretches[front].tokens)
    back, high = len(stretches), len(tokens)
    while back and tokens[max(0, high - len(stretches[back - 1].tokens)) : high] == stretches[back - 1].tokens:
        back, high = back - 1, high - len(stretches[back - 1].tokens)
    if front >= back or low > high:  # tokens came in or went, and nothing tells where
        front, low, back, high = 0, 0, len(stretches), len(tokens)
    between = _Stretch(stretches[front].start, stretches[back - 1].end, tokens[low:high])
    return [*stretches[:front], between, *stretches[back:]]


def _start(stretch: _Stretch, words: list[Span], parts: list[Part]) -> int:
    """The word that begins in the stretch, else where the stretch itself does."""
    starts = [start for start, _ in words]
    first, after = bisect_left(starts, stretch.start), bisect_left(starts, stretch.end)
    if after - first > 1:
        read = plain_text(parts)[stretch.start : stretch.end]
        raise ValueError(
            f"text has {read!r}, of which the text encoder makes something else, so that its words cannot be told "
            "apart: expected plain letters, or a space between the words"
        )
    return starts[first] if after > first else stretch.start
