"""The host's prompt syntax: weights and embeddings."""

import re
from typing import NamedTuple

from comfy.sd1_clip import escape_important, token_weights, unescape_important

EMBEDDING = "embedding:"  # the host's mark before the name of a file with learned vectors

_NAMELESS = re.compile(rf"(?:^|\s){EMBEDDING}\s*(?=$|{EMBEDDING})")


class Part(NamedTuple):
    """A piece between weight brackets, which the host tokenizes by itself, and where it begins in the plain text."""

    start: int
    text: str


def text_parts(text: str, weighted: bool) -> list[Part]:
    """The parts of a text: of "a (red:1.2) hat" they are "a ", "red" and " hat", or all of it without weights.

    Two words that only brackets keep apart, as in "(red:1.3)(hat:1.2)", get a space between them in the plain text.
    """
    parts: list[Part] = []
    end, last = 0, ""
    escaped = escape_important(text)
    for segment, _ in token_weights(escaped, 1.0) if weighted else [(escaped, 1.0)]:
        if part := unescape_important(segment):
            start = end + (last.isalnum() and part[0].isalnum())
            parts.append(Part(start, part))
            end, last = start + len(part), part[-1]
    return parts


def plain_text(parts: list[Part]) -> str:
    """The text without weight syntax: 'a red hat'."""
    plain = ""
    for start, part in parts:
        plain = plain.ljust(start) + part
    return plain


def check_embeddings(text: str) -> None:
    """Raises ValueError where an "embedding:" has no name, at which the host itself would stumble."""
    if any(_NAMELESS.search(part.text) for part in text_parts(text, weighted=True)):
        raise ValueError("text has 'embedding:' without a name: expected one such as 'embedding:my_style'")
