"""The forms of English words: which verb an -ing form comes from, what is a comparative or an adverb."""

from . import lexicon as lex


def base_forms(word: str) -> set[str]:
    """The word and what it may be an -ing form of: "swapping" gives swapping, swapp, swappe and swap."""
    forms = {word, word.removeprefix("re-")}
    if word.endswith("ing") and len(word) > 4:
        stem = word[:-3]
        forms |= {stem, stem + "e"}
        if stem[-1] == stem[-2]:
            forms.add(stem[:-1])
    return forms


def is_comparative(word: str) -> bool:
    """Whether the word is "darker", "bigger", "happier" ... of a known adjective."""
    stem = word[:-2]
    return word.endswith("er") and not lex.ADJECTIVES.isdisjoint({stem, stem + "e", stem[:-1], stem[:-1] + "y"})


def is_adverb(word: str) -> bool:
    """Whether the word is a listed adverb or looks like one of manner ("meticulously")."""
    return word in lex.ADVERBS or (word.endswith("ly") and len(word) > 4 and word not in lex.LY_NOUNS)
