"""Splitting an instruction into words."""

import re
from dataclasses import dataclass, replace

from . import lexicon as lex

_WORD = re.compile(r"\d+(?:[.:,/]\d+)+|[^\W_]+(?:['’\-‐‑&.][^\W_]+)*")
_WEIGHT = re.compile(r":\s*[+-]?[\d.]+(?=\s*[)\]])")  # the ":1.2" of ComfyUI's "(red:1.2)"
_LIST_NUMBER = re.compile(r"[.)]\s")  # follows the "1" of "1. Remove the sign"
_QUOTED = re.compile(r'"[^"]+"|“[^”]+”|(?<!\w)[\'‘][^\'’]+[\'’](?!\w)')
_CLAUSE_END = re.compile(r"[.;!?\n:|→—]|->|=>|\s[-–]+\s")


@dataclass(frozen=True)
class Word:
    """One word of the instruction: its characters `start:end`, as spelled and in lower case, and what precedes it."""

    start: int
    end: int
    text: str
    lower: str
    mark: str  # "" none, "," a comma, "." the end of a clause or of nothing
    possessive: bool = False  # had an 's, so it opens a noun phrase as an article does
    literal: bool = False  # quoted text that is to appear in the picture


def split_words(text: str) -> list[Word]:
    """The words of the text. Prompt weights are skipped; a possessive 's does not belong to its word."""
    weights = [match.span() for match in _WEIGHT.finditer(text)]
    quotes = [match.span() for match in _QUOTED.finditer(text)]
    words: list[Word] = []
    last = 0
    for match in _WORD.finditer(text):
        start, end = match.span()
        gap = text[last:start]
        mark = "." if not words or _CLAUSE_END.search(gap) else "," if "," in gap else ""
        weight = any(low <= start < high for low, high in weights)
        if weight or (mark == "." and match.group().isdigit() and _LIST_NUMBER.match(text, end)):
            continue
        lower = match.group().lower().replace("’", "'")
        possessive = lower.endswith("'s") and lower not in lex.PRONOUNS and lower not in lex.LEAD_INS
        if possessive:
            lower, end = lower[:-2], end - 2
        literal = any(low < start and end < high for low, high in quotes)
        words.append(Word(start, end, text[start:end], lower, mark, possessive, literal))
        last = match.end()
    if not any(word.lower in lex.TEXT_CUES and not word.literal for word in words):
        words = [replace(word, literal=False) for word in words]
    return words
