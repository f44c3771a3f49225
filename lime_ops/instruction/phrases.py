"""Turns of phrase: several words that count as one, and references to the whole picture ("in the input image")."""

from . import lexicon as lex
from .words import Word

_BY_FIRST: dict[str, list[tuple[str, ...]]] = {}
for _phrase in sorted(lex.PHRASES, key=len, reverse=True):
    _BY_FIRST.setdefault(_phrase[0], []).append(_phrase)

_DEFINITE = lex.ARTICLES - {"a", "an"} | {"this", "that", "these", "those"}


def phrase_length(words: list[Word], i: int) -> int:
    """How many words the turn of phrase that starts at `i` has, 0 if none does."""
    for phrase in _BY_FIRST.get(words[i].lower, ()):
        rest = words[i + 1 : i + len(phrase)]
        if tuple(word.lower for word in rest) == phrase[1:] and not any(word.mark for word in rest):
            return len(phrase)
    return 0


def picture_references(words: list[Word]) -> set[int]:
    """The indices of words that only say in which picture: "photo" in "the dog in this photo", "from image 2"."""
    found: set[int] = set()
    for i, word in enumerate(words):
        if word.lower.split("_")[0] in lex.PICTURE_NOUNS:
            found.update(_reference(words, i))
    return found


def _reference(words: list[Word], i: int) -> range:
    """The modifiers, the picture noun at `i` and its number, if a preposition puts something into that picture."""
    start, end = i, i + 1
    while start > 0 and not words[start].mark and words[start - 1].lower in lex.PICTURE_MODIFIERS:
        start -= 1
    if end < len(words) and not words[end].mark and words[end].lower.isdigit():
        end += 1
    numbered = end > i + 1 or "_" in words[i].lower
    before = [word.lower for word in words[max(start - 3, 0) : start]]
    if before and before[-1] in _DEFINITE:
        before.pop()
    elif not numbered and words[i].lower not in lex.PICTURE_PLURALS:
        return range(0)
    where = before[-1:] != [] and (before[-1] in lex.PICTURE_PREPOSITIONS or before[-2:] == ["out", "of"])
    marked = any(word.mark for word in words[start : i + 1])
    return range(start, end) if where and not marked and _ends_phrase(words, end) else range(0)


def _ends_phrase(words: list[Word], i: int) -> bool:
    """Whether no noun follows ("the picture frame"). A verb may ("the man in the image waving", "make ... jump")."""
    if i >= len(words) or words[i].mark or words[i].lower in lex.FUNCTION_WORDS:
        return True
    start = i - 1
    while start > 0 and not words[start].opens_clause:
        start -= 1
    causative = any(word.lower in lex.CAUSATIVES for word in words[start:i])
    verb = words[i].lower.endswith("ing") and words[i].lower not in lex.ING_NOUNS
    return (causative or verb) and words[i].lower not in lex.PICTURE_COMPOUNDS
