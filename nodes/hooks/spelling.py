"""What a text and its tokens have in common, whatever the tokenizer did to blanks, case, accents and widths.

CLIP's tokenizer lowers the case, T5's folds ligatures and widths, those of language models keep every byte; some mark
blanks in a token, some leave them out. So both sides are compared by their letters: what is left without blanks,
accents and invisible characters, in one case and width.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from unicodedata import category, normalize

from comfy.sd1_clip import SDTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

Range = tuple[int, int]  # letters [first, after)

VECTOR = "\N{OBJECT REPLACEMENT CHARACTER}"  # the letter that stands for one vector of an embedding

_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # a blank, to sentencepiece
_END_OF_WORD = "</w>"  # in CLIP's vocabulary
_UNESCAPED = "\\"  # the host takes it away before a bracket
_STRAIGHT = str.maketrans("‘’“”", "''\"\"")  # as CLIP's tokenizer, with ftfy installed
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BYTES = {char: byte for byte, char in bytes_to_unicode().items()}


@cache
def letters_of(char: str) -> str:
    """The letters of one character: "e" of "É", "fi" of a ligature, none of a blank."""
    plain = normalize("NFKD", normalize("NFKD", char).casefold()).translate(_STRAIGHT)
    return "".join(c for c in plain if category(c)[0] not in "ZCM" and c not in (_BLANK, _UNESCAPED))


def speller(tokenizer: SDTokenizer) -> Callable[[int], bytes]:
    """What a number of the vocabulary stands for, in UTF-8; a token may end within a character."""
    pieces = tokenizer.inv_vocab
    if any(piece.startswith(_BLANK) for piece in pieces.values()):  # sentencepiece: T5, Gemma
        return lambda token: _sentence_piece(pieces.get(token, ""))
    return lambda token: _byte_level(pieces.get(token, ""))  # CLIP, Qwen, Llama, Mistral


def spell(pieces: Iterable[bytes]) -> tuple[str, list[Range]]:
    """(the letters of all pieces together, those that each piece has a part in)."""
    pieces = list(pieces)
    owners = [n for n, piece in enumerate(pieces) for _ in piece]
    letters, byte = "", 0
    ranges: dict[int, Range] = {}
    for char in b"".join(pieces).decode("utf-8", "surrogateescape"):
        after = byte + len(char.encode("utf-8", "surrogateescape"))
        first, letters = len(letters), letters + letters_of(char)
        for n in range(owners[byte], owners[after - 1] + 1):
            ranges[n] = (ranges.get(n, (first, 0))[0], len(letters))
        byte = after
    last, every = 0, []
    for n in range(len(pieces)):
        every.append(ranges.get(n, (last, last)))
        last = every[-1][1]
    return letters, every


def _sentence_piece(piece: str) -> bytes:
    found = _BYTE.fullmatch(piece)
    return bytes.fromhex(found[1]) if found else piece.replace(_BLANK, " ").encode()


def _byte_level(piece: str) -> bytes:
    piece = piece.removesuffix(_END_OF_WORD)
    return b"".join(bytes([_BYTES[c]]) if c in _BYTES else c.encode() for c in piece)
