"""From words of an instruction to columns of the cross-attention's text axis, through the host's own tokenizer."""

from typing import Any

import comfy.sd1_clip
import torch
from comfy_api.latest import io

from ...lime_ops import Settings, TokenColumns, acting_tokens, locating_tokens
from ...lime_ops.instruction import Span, command_spans, edit_word_spans, split_words
from ...lime_ops.instruction.words import Word
from ..sockets import Instruction, Tokens
from .families import text_encoder
from .token_starts import EMBEDDING, check_embeddings, plain_text, token_starts, weighted_parts

_END_OF_WORD = "</w>"  # in CLIP's vocabulary


def encode_instruction(clip: io.Clip.Type, text: str, settings: Settings) -> tuple[list, Instruction]:
    """(conditioning as from CLIP Text Encode, the instruction).

    Raises ValueError when the text is empty, when an "embedding:" in it has no name, or when its words cannot be told
    apart in what the tokenizer makes of them.
    """
    parts = weighted_parts(text)
    plain = plain_text(parts)
    if not plain.strip():
        raise ValueError("text is empty: expected an instruction such as 'make her outfit black'")
    check_embeddings(parts)
    with_ids = clip.tokenize(text, return_word_ids=True)
    encoder = text_encoder(with_ids)
    tokenizer = _tokenizer(clip.tokenizer, encoder)
    columns, ends = _columns(with_ids[encoder])
    tokens = [entry[0] for chunk in with_ids[encoder] for entry in chunk if entry[2] != 0]
    starts = token_starts(tokenizer, parts, tokens, _spans(split_words(plain)))
    # Bytes that are no ASCII are spelled otherwise, but no stop word and no punctuation has any.
    pieces = [tokenizer.inv_vocab.get(t, "") if isinstance(t, int) else EMBEDDING for t in tokens]
    conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    return conditioning, Instruction(
        text=plain,
        starts=tuple(starts),
        pieces=tuple(piece.removesuffix(_END_OF_WORD) for piece in pieces),
        columns=tuple(columns),
        ends=tuple(ends),
        embedding=conditioning[0][0],
        settings=settings,
    )


def choose_words(
    instruction: Instruction, focus: str = "", ignore: str = "", verbs: frozenset[int] | None = None
) -> Tokens:
    """The words to edit and what they may do: those of `focus`, or the automatic choice; without those of `ignore`.

    An instruction with function words only ("do it") falls back on all its words. At the published setting pieces of
    words are chosen automatically, maybe none. verbs: the columns of what its tagger calls verbs. That tagger is not at
    hand: by default the verbs that give the orders stand in for it, and no end token is one.

    Raises ValueError when a word of `focus` or `ignore` is not in the instruction, when `ignore` leaves none, or when
    the text encoder leaves out all that are chosen.
    """
    text, settings = instruction.text, instruction.settings
    words = split_words(text)
    if not words:
        raise ValueError(f"the instruction {text!r} has no words: expected one such as 'make her outfit black'")
    ignored = _find(words, ignore, "ignore")
    spans = _find(words, focus, "focus")
    if not spans and not settings.pieces_locate:
        spans = edit_word_spans(text) or _spans(words)
    columns = TokenColumns(
        chosen=_columns_of(instruction, _without(text, spans, ignored)),
        text=list(instruction.columns),
        pieces=list(instruction.pieces),
        ends=list(instruction.ends),
        verbs=frozenset(_columns_of(instruction, command_spans(text))) if verbs is None else verbs,
    )
    if spans and not columns.chosen:
        raise ValueError(
            f"the chosen words {[text[a:b] for a, b in spans]} have no tokens, since the text encoder leaves them out "
            "(an embedding that it does not find?): choose other words in focus"
        )
    ignored_columns = _columns_of(instruction, ignored)
    locating = [column for column in locating_tokens(columns, settings) if column not in ignored_columns]
    unrelated = torch.ones(instruction.embedding.shape[1], dtype=torch.bool)
    unrelated[acting_tokens(columns, settings)] = False
    tokens = zip(instruction.starts, instruction.columns, strict=True)
    starts = [start for start, column in tokens if column in locating]
    named = [text[a:b] for a, b in _spans(words) if any(a <= start < b for start in starts)]
    return Tokens(instruction, tuple(named), tuple(locating), unrelated)


def _spans(words: list[Word]) -> list[Span]:
    return [(word.start, word.end) for word in words]


def _find(words: list[Word], wanted: str, name: str) -> list[Span]:
    """Where the words of `focus` or `ignore` stand, read as the instruction is: weights and marks are no words."""
    named = split_words(plain_text(weighted_parts(wanted)))
    if wanted.strip() and not named:
        raise ValueError(f"{name}: {wanted!r} has no words: expected some of the instruction's, such as 'hat'")
    spans = []
    for word in named:
        found = [other for other in words if other.lower == word.lower]
        if not found:
            every = ", ".join(other.text for other in words)
            raise ValueError(f"{name}: {word.text!r} is not in the instruction. Its words are: {every}")
        spans += _spans(found)
    return sorted(set(spans))


def _without(text: str, spans: list[Span], ignored: list[Span]) -> list[Span]:
    kept = [span for span in spans if span not in ignored]
    if spans and not kept:
        raise ValueError(f"ignore leaves no word of {text!r}: chosen were {[text[a:b] for a, b in spans]}")
    return kept


def _tokenizer(host: Any, encoder: str) -> comfy.sd1_clip.SDTokenizer:
    """The host's tokenizer of one text encoder."""
    for name in (f"clip_{encoder}", encoder):
        if found := getattr(host, name, None):
            return found
    raise ValueError(f"the clip's {type(host).__name__} has no tokenizer for {encoder!r}: load another clip")


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
