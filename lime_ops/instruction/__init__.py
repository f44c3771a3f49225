"""Reading edit instructions: the words that say what is edited and what it becomes."""

from .choose import edit_word_spans, edit_words

__all__ = ["edit_word_spans", "edit_words"]
