"""Which tokens of an instruction locate the region, and which may act inside it."""

import string
from typing import NamedTuple

from .instruction.stop_words import STOP_WORDS
from .settings import Settings


class TokenColumns(NamedTuple):
    """Columns of the text axis, ascending, by what stands there. All others are padding or a template's."""

    chosen: list[int]  # the words that say what is edited and what it becomes; with `pieces_locate`: those a user named
    text: list[int]  # all words and marks
    pieces: list[str]  # for each column of `text` the token's spelling, lower case: "croche" and "ted" of "crocheted"
    ends: list[int]  # the first end token of each chunk, which sums the sentence up
    begins: list[int]  # the start token of each chunk
    verbs: frozenset[int] = frozenset()  # those that a tagger calls verbs, end tokens included


def locating_tokens(columns: TokenColumns, settings: Settings) -> list[int]:
    """Columns whose attention says where the edit is, in the order words, end tokens; none is no error.

    With `pieces_locate` and nothing chosen as published (utils.py, locate_points): all pieces but stop words,
    punctuation and verbs, and the end tokens but those tagged as verbs.
    """
    if not settings.pieces_locate:
        return columns.chosen
    pieces = zip(columns.text, columns.pieces, strict=True)
    named = [c for c, piece in pieces if piece not in STOP_WORDS and piece not in string.punctuation]
    words = columns.chosen or [c for c in named if c not in columns.verbs]
    return words + [c for c in columns.ends if c not in columns.verbs]


def acting_tokens(columns: TokenColumns, count: int, settings: Settings) -> list[int]:
    """Columns, ascending, that may be attended to inside the region; all others are unrelated (paper, section 3.3).

    count: of all columns. As published (utils.py, get_effective_tokens) verbs and punctuation may act.
    """
    if settings.padding_acts:
        return sorted({*range(count)} - {*columns.begins, *columns.text} | {*columns.chosen})
    if settings.silenced == "start, other words and padding":
        return sorted({*columns.chosen, *columns.ends})
    pieces = zip(columns.text, columns.pieces, strict=True)
    return sorted({*(c for c, piece in pieces if piece not in STOP_WORDS), *columns.ends})
