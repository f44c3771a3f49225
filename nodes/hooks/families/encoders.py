"""What is true of one kind of text encoder only."""

CLIPS = frozenset({"l", "g", "h"})  # beside another encoder they give the pooled vector alone (Flux, HunyuanVideo)
CUT_AT_THE_END = {"LongCatImageTokenizer": 5}  # tokens of its template, "<|im_end|>\n<|im_start|>assistant\n"


def text_encoder(tokens: dict[str, list]) -> str:
    """Which of a tokenization's encoders has the columns of the text axis. SDXL's two have the same ones."""
    others = [name for name in tokens if name not in CLIPS]
    return next(iter(others or sorted(tokens, reverse=True)))


def cut_at_the_end(tokenizer: object) -> int:
    """How many of the last tokens have no column, for the host's tokenizer of a clip."""
    return CUT_AT_THE_END.get(type(tokenizer).__name__, 0)
