"""Which tokens of an instruction locate the region, and which may act inside it."""

from typing import NamedTuple

from .settings import Settings


class TokenColumns(NamedTuple):
    """Columns of the text axis, ascending, by what stands there. All others are the start token and padding."""

    chosen: list[int]  # the words that say what is edited and what it becomes
    functions: list[int]  # words that name nothing
    text: list[int]  # all words
    ends: list[int]  # the first end token of each chunk, which sums the sentence up


def locating_tokens(columns: TokenColumns, settings: Settings) -> list[int]:
    """Columns whose attention says where the edit is, in the order chosen words, end tokens."""
    return columns.chosen + columns.ends if settings.end_token_locates else columns.chosen


def acting_tokens(columns: TokenColumns, settings: Settings) -> list[int]:
    """Columns, ascending, that may be attended to inside the region; all others are unrelated (paper, section 3.3)."""
    if settings.only_chosen_words_act:
        return sorted({*columns.chosen, *columns.ends})
    return sorted({*columns.text, *columns.ends} - {*columns.functions})
