"""An instruction on the text axis: which tokens are its own, where they begin in it, and which columns they have."""

from itertools import accumulate, chain
from typing import Any, NamedTuple

import comfy.sd1_clip
from comfy_api.latest import io
from torch import Tensor

from ...lime_ops.instruction import split_words
from .families import cut_at_the_end, text_encoder
from .prompt_syntax import EMBEDDING, check_embeddings, plain_text, text_parts
from .spelling import Range, spell
from .token_starts import Token, starts_by_chunks, starts_by_letters, token_bytes

_SAMPLE = "(a:1.5)"  # what an encoder makes of it shows its template, and whether it reads weights

_KEPT = 3  # tokens before the text that Qwen's encoders keep where it begins with a line break: "<|im_start|>user\n"


class Entry(NamedTuple):
    """One of the tokens that an encoder sees."""

    token: Token
    weight: float
    added: bool  # by the tokenizer: start, end or padding


class TextTokens(NamedTuple):
    """The tokens of an instruction among all that an encoder sees, templates and padding included."""

    text: str  # plain, weight syntax removed where the encoder reads it
    starts: list[int]  # for each token of the text the character it begins at, ascending
    pieces: list[str]  # and its spelling in lower case, "embedding:" for a vector of an embedding
    indices: list[int]  # and its place among all tokens
    ends: list[int]  # places of the first token after the text in each chunk, padding aside
    begins: list[int]  # places of the start token of each chunk
    lead: int  # how many tokens come before the text
    count: int  # of all tokens but those that have no column
    alone: bool  # whether the encoder reads this text and nothing else

    def shift(self, width: int, given: bool) -> int:
        """What to add to a token's place to get its column in a conditioning of `width` columns.

        Columns are counted from the end: encoders leave out their template's beginning, and put pictures and system
        prompts before the text. given: whether another node made the conditioning, maybe with such. Raises ValueError
        when the conditioning cannot be of this text.
        """
        least = self.count if self.alone else self.count - self.lead
        own = width in (self.count, *range(least, least + _KEPT + 1))
        if width == self.count if self.alone else own or (given and width > least):
            return width - self.count
        expected = f"{least}" if self.alone else f"at least {least}"
        if given:
            raise ValueError(
                f"conditioning has {width} tokens, but this text has {expected} with this clip: it was made from "
                "another text, or with another clip. Wire the same text and clip into the node that made it and into "
                "this one, or leave conditioning open."
            )
        raise ValueError(
            f"this clip makes {width} tokens of the text where its tokenizer gives {expected}, so that LIME cannot "
            "tell which belong to which word: load the clip of a model that the help of LIME Instruction names."
        )


def text_tokens(clip: io.Clip.Type, text: str) -> TextTokens:
    """The tokens of an instruction, by a number of calls of the host's tokenizer that does not grow with the text.

    Raises ValueError when the text is empty, when an "embedding:" in it has no name, or when its words cannot be told
    apart.
    """
    check_embeddings(text)
    lead, tail, weighted = _template(clip)
    parts = text_parts(text, weighted)
    plain = plain_text(parts)
    if not plain.strip():
        raise ValueError("text is empty: expected an instruction such as 'make her outfit black'")
    tokenizer, chunks = _tokenize(clip, text)
    entries = list(chain.from_iterable(chunks))
    pieces = _pieces(tokenizer, entries)
    letters, ranges = spell(pieces)
    low, high = len(lead), len(letters) - len(tail)
    own = _own(entries, ranges, low, high)
    within = [(max(ranges[i][0], low) - low, min(ranges[i][1], high) - low) for i in own]
    words = [(word.start, word.end) for word in split_words(plain)]
    starts = starts_by_letters(tokenizer, parts, plain, letters[low:high], within, words)
    if starts is None:
        own = [i for i, entry in enumerate(entries) if not entry.added]
        starts = starts_by_chunks(tokenizer, parts, plain, [entries[i].token for i in own], words)
    return TextTokens(
        text=plain,
        starts=starts,
        pieces=[EMBEDDING if isinstance(entries[i].token, Tensor) else _name(pieces[i]) for i in own],
        indices=own,
        ends=_ends(chunks, set(own), tokenizer),
        begins=_begins(chunks, tokenizer),
        lead=own[0] if own else 0,
        count=len(entries) - cut_at_the_end(clip.tokenizer),
        alone=tokenizer.end_token is not None or entries[-1].added,
    )


def _template(clip: io.Clip.Type) -> tuple[str, str, bool]:
    """(the letters that the tokenizer puts before a text, those it puts after it, whether it reads weights)."""
    tokenizer, chunks = _tokenize(clip, _SAMPLE)
    entries = list(chain.from_iterable(chunks))
    letters, ranges = spell(_pieces(tokenizer, entries))
    heavy = [within for entry, within in zip(entries, ranges, strict=True) if entry.weight != 1]
    if heavy:
        return letters[: heavy[0][0]], letters[heavy[-1][1] :], True
    lead, found, tail = letters.rpartition(_SAMPLE)
    return (lead, tail, False) if found else ("", "", False)


def _tokenize(clip: io.Clip.Type, text: str) -> tuple[comfy.sd1_clip.SDTokenizer, list[list[Entry]]]:
    """(the tokenizer of the encoder that has the text axis, its chunks of tokens)."""
    tokens = clip.tokenize(text, return_word_ids=True)
    encoder = text_encoder(tokens)
    tokenizer = _tokenizer(clip.tokenizer, encoder)

    def entry(token: Token, weight: float, word: int | None = None) -> Entry:
        padding = word is None and not isinstance(token, Tensor) and token == tokenizer.pad_token
        return Entry(token, weight, word == 0 or padding)

    return tokenizer, [[entry(*values) for values in chunk] for chunk in tokens[encoder]]


def _tokenizer(host: Any, encoder: str) -> comfy.sd1_clip.SDTokenizer:
    """The host's tokenizer of one text encoder."""
    for name in (f"clip_{encoder}", encoder):
        if found := getattr(host, name, None):
            return found
    raise ValueError(f"the clip's {type(host).__name__} has no tokenizer for {encoder!r}: load another clip")


def _pieces(tokenizer: comfy.sd1_clip.SDTokenizer, entries: list[Entry]) -> list[bytes]:
    """The spelling of each token, none of those that are added."""
    spelled = token_bytes(tokenizer, [entry.token for entry in entries])
    return [b"" if entry.added else piece for entry, piece in zip(entries, spelled, strict=True)]


def _own(entries: list[Entry], ranges: list[Range], low: int, high: int) -> list[int]:
    """Places of the tokens of the letters [low, high), with those between and right after them that have no letters."""
    lettered = [i for i, (first, after) in enumerate(ranges) if first < min(after, high) and after > low]
    if not lettered:
        return []
    last = lettered[-1] + 1
    while last < len(entries) and ranges[last] == (high, high) and not entries[last].added:
        last += 1
    return [i for i in range(lettered[0], last) if not entries[i].added]


def _ends(chunks: list[list[Entry]], own: set[int], tokenizer: comfy.sd1_clip.SDTokenizer) -> list[int]:
    """Places of the token after the text's last in each chunk, if it is the end token or the template's."""
    ends, start = [], 0
    for chunk in chunks:
        after = max((i for i in range(len(chunk)) if start + i in own), default=0) + 1
        if after < len(chunk) and (not chunk[after].added or chunk[after].token == tokenizer.end_token):
            ends.append(start + after)
        start += len(chunk)
    return ends


def _begins(chunks: list[list[Entry]], tokenizer: comfy.sd1_clip.SDTokenizer) -> list[int]:
    """Places of the start token in each chunk; none where the encoder has no such token."""
    places = accumulate(map(len, chunks), initial=0)
    return [place for place, chunk in zip(places, chunks, strict=False) if chunk[0].token == tokenizer.start_token]


def _name(piece: bytes) -> str:
    return piece.decode("utf-8", "ignore").strip().lower()
