"""From words of an instruction to columns of the cross-attention's text axis, through the host's own tokenizer."""

import torch
from comfy_api.latest import io

from ...lime_ops import Settings, TokenColumns, acting_tokens, locating_tokens
from ...lime_ops.instruction import Span, command_spans, edit_word_spans, split_words
from ...lime_ops.instruction.words import Word
from ..sockets import Instruction, Tokens
from .prompt_syntax import plain_text, text_parts
from .text_axis import text_tokens


def encode_instruction(
    clip: io.Clip.Type, text: str, settings: Settings, given: list | None = None
) -> tuple[list, Instruction]:
    """(conditioning, the instruction). The conditioning is that of CLIP Text Encode, or the given one.

    given: a conditioning that another node made of the text. Raises ValueError when the text is empty, when an
    "embedding:" in it has no name, when its words cannot be told apart in what the tokenizer makes of them, or when the
    given conditioning cannot be of this text.
    """
    tokens = text_tokens(clip, text)
    if given is not None and len(given) != 1:
        raise ValueError(
            f"conditioning has {len(given)} parts (ConditioningCombine, scheduled LoRAs): expected one, as the node "
            "that encodes the text gives it. Combine it behind this node."
        )
    conditioning = given or clip.encode_from_tokens_scheduled(clip.tokenize(text))
    embedding = conditioning[0][0]
    shift = tokens.shift(embedding.shape[1], given is not None)
    return conditioning, Instruction(
        text=tokens.text,
        starts=tuple(tokens.starts),
        pieces=tuple(tokens.pieces),
        columns=tuple(index + shift for index in tokens.indices),
        ends=tuple(index + shift for index in tokens.ends if index < tokens.count),
        begins=tuple(index + shift for index in tokens.begins if index + shift >= 0),
        embedding=embedding,
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
        begins=list(instruction.begins),
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
    unrelated[acting_tokens(columns, len(unrelated), settings)] = False
    tokens = zip(instruction.starts, instruction.columns, strict=True)
    starts = [start for start, column in tokens if column in locating]
    named = [text[a:b] for a, b in _spans(words) if any(a <= start < b for start in starts)]
    return Tokens(instruction, tuple(named), tuple(locating), unrelated)


def _spans(words: list[Word]) -> list[Span]:
    return [(word.start, word.end) for word in words]


def _find(words: list[Word], wanted: str, name: str) -> list[Span]:
    """Where the words of `focus` or `ignore` stand, read as the instruction is: weights and marks are no words."""
    named = split_words(plain_text(text_parts(wanted, weighted=True)))
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


def _columns_of(instruction: Instruction, spans: list[Span]) -> list[int]:
    """Columns, ascending, of the tokens that begin in one of the spans."""
    tokens = zip(instruction.starts, instruction.columns, strict=True)
    return [column for start, column in tokens if any(a <= start < b for a, b in spans)]
