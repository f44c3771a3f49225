"""Reading edit instructions: the words that say what is edited and what it becomes."""

from .choose import Span, command_spans, edit_word_spans, edit_words
from .words import split_words

__all__ = ["Span", "command_spans", "edit_word_spans", "edit_words", "split_words"]
