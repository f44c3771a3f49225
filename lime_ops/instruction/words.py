"""Splitting an instruction into words."""

import re
from dataclasses import dataclass, replace

from . import lexicon as lex

_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"  # soft hyphen, zero-width space and joiners, byte order mark
_VISIBLE = dict.fromkeys(map(ord, _INVISIBLE))  # for str.translate: leaves them out
LETTERS = rf"[^\W_](?:[{_INVISIBLE}\u0300-\u036f]*[^\W_])*[\u0300-\u036f]*"  # with accents, and what hides in it
_EMBEDDING = r"(?<![^\s(])embedding:[^\s,()<>\[\]]*\w"  # a file with learned vectors, by name
_WORD = re.compile(rf"{_EMBEDDING}|\d+(?:[.:,/]\d+)+[^\W\d_]*|{LETTERS}(?:['’_\-‐‑&.]{LETTERS})*")
_CLITIC = re.compile(r"(?<=['’])(?:s|t|re|ve|ll|d|m)(?![\w'’])", re.IGNORECASE)  # the "s" of "the man 's hat"
# What ComfyUI and its neighbours read as syntax: the ":1.2" of "(red:1.2)", also unclosed, and "<lora:name:0.8>".
_WEIGHT = re.compile(r":\s*[+-]?\d*\.?\d+(?=\s*[)\]])|(?<=[^\W\d]):\s*\d*\.\d+(?![\w:.])")
_EXTRA_NETWORK = re.compile(r"<\w+:[^<>]*>")
_LIST_NUMBER = re.compile(r"[.)]\s")  # follows the "1" of "1. Remove the sign"
_QUOTED = re.compile(r'"[^"]+"|“[^”]+”|(?<!\w)[\'‘](?:[^\'’]|(?<=\w)[\'’](?=\w))+[\'’](?!\w)')
_BULLET = re.compile(r"\n\s*[-–*•]\s")
_CLAUSE_END = re.compile(r"[.;!?\n|→]|->|=>")
_QUOTE_END = re.compile(r"[.!?]+(?=['’\"”])")
_DASH = re.compile(r"—|\s[-–]+\s")


@dataclass(frozen=True)
class Word:
    """One word of the instruction: its characters `start:end`, as spelled and in lower case, and what precedes it."""

    start: int
    end: int
    text: str
    lower: str
    mark: str  # "" none, "," a comma, ":" a colon, "-" a dash or a bullet, "." the end of a clause or of nothing
    depth: int = 0  # how many brackets are open around it
    possessive: bool = False  # had an 's, so it opens a noun phrase as an article does
    literal: bool = False  # quoted text that is to appear in the picture

    @property
    def is_embedding(self) -> bool:
        """Whether the word names learned vectors, as "embedding:my_style" does: a thing, whatever it is called."""
        return self.lower.startswith("embedding:")

    @property
    def opens_clause(self) -> bool:
        """Whether a mark stronger than a comma stands before the word."""
        return self.mark not in ("", ",")


class Neighbours:
    """Words that know what stands beside them."""

    def __init__(self, words: list[Word]) -> None:
        self.words = words

    def _at(self, i: int) -> str:
        """The word at `i` in lower case, "" where the text ends or a mark precedes it."""
        return self.words[i].lower if i < len(self.words) and not self.words[i].mark else ""

    def _before(self, i: int) -> str:
        """The word before `i` in lower case, "" where a mark or nothing stands between."""
        return self.words[i - 1].lower if i > 0 and not self.words[i].mark else ""


def split_words(text: str) -> list[Word]:
    """The words of the text. Prompt syntax is skipped; a possessive 's does not belong to its word."""
    plain = _EXTRA_NETWORK.sub(_blank, _WEIGHT.sub(_blank_weight, text))
    quotes = [match.span() for match in _QUOTED.finditer(plain)]
    words: list[Word] = []
    last = depth = 0
    forced = "."  # the mark before the next word, whatever stands there: nothing, a list number, BREAK
    for match in _WORD.finditer(plain):
        start, end = match.span()
        gap = plain[last:start]
        mark = forced or _mark(gap, match.group())
        depth = max(depth + gap.count("(") + gap.count("[") - gap.count(")") - gap.count("]"), 0)
        last, forced = end, ""
        if _is_list_number(match, mark):
            forced = "-" if words else "."
        elif match.group() == "BREAK" and not plain.isupper():
            forced = "."
        elif words and _CLITIC.match(plain, start):
            words[-1] = replace(words[-1], possessive=True)
            forced = mark
        else:
            literal = any(low < start and end < high for low, high in quotes)
            words.append(_word(text, start, end, mark, depth, literal))
    named = any(text[low + 1].isupper() or high == low + 3 for low, high in quotes)  # "Open Late", "a"
    if named or any(word.lower in lex.TEXT_CUES and not word.literal for word in words):
        return words
    return [replace(word, literal=False) for word in words]


def _word(text: str, start: int, end: int, mark: str, depth: int, literal: bool) -> Word:
    lower = text[start:end].lower().replace("’", "'").translate(_VISIBLE)
    possessive = lower.endswith("'s") and lower not in lex.PRONOUNS and lower not in lex.LEAD_INS
    if possessive:
        lower, end = lower[:-2], end - 2
    return Word(start, end, text[start:end], lower, mark, depth, possessive, literal)


def _is_list_number(match: re.Match[str], mark: str) -> bool:
    return mark not in ("", ",") and match.group().isdigit() and bool(_LIST_NUMBER.match(match.string, match.end()))


def _blank_weight(match: re.Match[str]) -> str:
    before = match.string[: match.start()]
    bracketed = before.count("(") + before.count("[") > before.count(")") + before.count("]")
    return _blank(match) if bracketed else match.group()


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _mark(gap: str, after: str) -> str:
    """The strongest mark between two words. The end of a quotation ends no clause that goes on in lower case."""
    if after[0].islower():
        gap = _QUOTE_END.sub("", gap)
    if _BULLET.search(gap):
        return "-"
    if _CLAUSE_END.search(gap):
        return "."
    if ":" in gap:
        return ":"
    return "-" if _DASH.search(gap) else "," if "," in gap else ""
