"""Which words of an edit instruction say what is edited and what it becomes.

The published code asks a downloaded tagger about CLIP's word pieces. Here whole words are chosen by where they stand:
function words come from closed lists (`lexicon`), a command is a verb where a command can stand (at the start of a
clause, after "could you", "I want you to", ...), and everything else is content. After an article every word is a noun
or an adjective, so "a saw", "the mine" and "a can of paint" need no list of nouns, and unknown words are kept.
"""

from .kept import kept_words
from .reader import Reader
from .words import split_words

Span = tuple[int, int]  # characters [start, end) of a text


def edit_words(instruction: str) -> list[str]:
    """The words that say what is edited and what it becomes, in order and as spelled.

    instruction: an edit instruction in English, e.g. "could you paint the fence white?" gives ["fence", "white"].
    Hyphenated words are one word, and so is "embedding:my_style", which ComfyUI reads as learned vectors and which
    always names something; a possessive 's is left out ("man's" gives "man"). Empty if nothing is named.
    """
    return [instruction[start:end] for start, end in edit_word_spans(instruction)]


def command_spans(instruction: str) -> list[Span]:
    """The characters of each verb that gives an order: "make" of "make the hat red", in order."""
    words = split_words(instruction)
    reader = Reader(words)
    reader.read()
    return [(words[i].start, words[i].end) for i in sorted(reader.orders)]


def edit_word_spans(instruction: str) -> list[Span]:
    """The characters (start, end) in `instruction` of each word that `edit_words` returns, in order."""
    if not isinstance(instruction, str):
        raise TypeError(
            f"The instruction must be text (str), e.g. 'make the car red'; got {type(instruction).__name__}."
        )
    words = split_words(instruction)
    reader = Reader(words)
    content = reader.read()
    kept = kept_words(words, reader.orders)
    edited = [i for i in content if i not in kept] or content  # "keep her eyes closed" alone is an edit
    return [(words[i].start, words[i].end) for i in edited]
