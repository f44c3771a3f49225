"""Which words of an instruction say what must stay as it is."""

from . import lexicon as lex
from .words import Word


def kept_words(words: list[Word]) -> set[int]:
    """The indices of the words in clauses that say what must stay as it is ("but keep the sky the same")."""
    lowers = [word.lower for word in words]
    spared: set[int] = set()
    sparing = False
    for i, word in enumerate(words):
        before = "" if word.mark else lowers[i - 1]
        heads = not before or (before not in lex.ARTICLES and before in lex.FUNCTION_WORDS) or before in lex.COURTESIES
        if word.mark == "." or word.lower == "but":
            sparing = False
        if (heads or word.lower.endswith("ing")) and _starts_sparing(lowers[i:]):
            sparing = True
        elif sparing and (not before or before in lex.CONJUNCTIONS):
            sparing = not _starts_order(words[i:])
        if sparing:
            spared.add(i)
    return spared


def _starts_sparing(words: list[str]) -> bool:
    """Whether these lower-case words start with "keep", "without changing", "leave ... alone" or the like."""
    if words[0] in lex.LEAVERS:
        stop = words.index("but") if "but" in words else len(words)
        return not lex.UNTOUCHED.isdisjoint(words[:stop])
    return words[0] in lex.KEEPERS or (words[0] in lex.NEGATIONS and not lex.TOUCHES.isdisjoint(words[1:2]))


def _starts_order(words: list[Word]) -> bool:
    """Whether an order or a clause of its own starts here, rather than one more thing that must stay."""
    clause = [words[0].lower]
    for word in words[1:]:
        if word.mark:
            break
        clause.append(word.lower)
    while len(clause) > 1 and (clause[0] in lex.ADVERBS or clause[0] in lex.COURTESIES):
        clause = clause[1:]
    after = clause[1] if len(clause) > 1 else ""
    if clause[0] in lex.COMMANDS and clause[0] not in lex.KEEPERS and after not in lex.PREPOSITIONS:
        return bool(after)
    if clause[0] in lex.FUNCTION_WORDS:
        return bool(words[0].mark) and not lex.MODAL_VERBS.isdisjoint(clause)
    return after in lex.OBJECT_STARTERS
