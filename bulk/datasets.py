"""MagicBrush and PIE-Bench as their authors publish them."""

import json
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet
from PIL import Image

from .pictures import png
from .store import write

WHITE = 250  # of 255, in every channel: what MagicBrush's masks are painted with
PIE_SIDE = 512  # pixels of every picture of PIE-Bench


class Case(NamedTuple):
    """One row of a benchmark. Pictures are paths; what the benchmark does not have is None."""

    key: str
    source: str
    instructions: tuple[str, ...]  # in turn
    target: str | None  # the picture that is wanted after the last one
    mask: str | None  # white where the picture should change
    caption: str | None  # of the picture that is wanted


class _Turn(NamedTuple):
    """One edit of a MagicBrush session."""

    session: str
    number: int  # from 1
    source: Path
    mask: Path
    target: Path
    instruction: str
    caption: str | None


def magicbrush(data: Path, scratch: Path, limit: int | None = None) -> list[Case]:
    """Single turn: every edit from the true picture before it.

    data: the test set's folder with edit_sessions.json, or the folder of the parquet files of train and dev (arXiv
    2306.10012, osunlp/MagicBrush on Hugging Face), whose pictures are unpacked into the folder `scratch`. Raises
    ValueError where there is neither.
    """
    cases = []
    for turn in islice(_turns(data, scratch), limit):
        key = f"{turn.session}-{turn.number}"
        region = scratch / f"{key}-region.png"
        write(region, png(magicbrush_region(Image.open(turn.mask))))
        pictures = (str(turn.source), (turn.instruction,), str(turn.target), str(region))
        cases.append(Case(key, *pictures, turn.caption))
    return cases


def magicbrush_multi(data: Path, scratch: Path, limit: int | None = None) -> list[Case]:
    """Multi turn: a session's edits one upon the other; the last one is compared with the last true picture."""
    cases = []
    for session, turns in islice(groupby(_turns(data, scratch), lambda turn: turn.session), limit):
        first, *rest = turns
        last = rest[-1] if rest else first
        instructions = tuple(turn.instruction for turn in (first, *rest))
        cases.append(Case(session, str(first.source), instructions, str(last.target), None, last.caption))
    return cases


def magicbrush_region(mask: Image.Image) -> Image.Image:
    """White where a mask says to edit: where it is transparent if anywhere it is, else where it is painted white."""
    pixels = np.asarray(mask.convert("RGBA"))
    clear = pixels[..., 3] < 128
    painted = (pixels[..., :3] >= WHITE).all(-1)
    return Image.fromarray(np.where(clear if clear.any() else painted, 255, 0).astype(np.uint8))


def pie_bench(data: Path, scratch: Path, limit: int | None = None) -> list[Case]:
    """PIE-Bench (arXiv 2310.01506): the folder with mapping_file.json and annotation_images. Raises ValueError."""
    mapping = data / "mapping_file.json"
    if not mapping.is_file():
        raise ValueError(f"{data} has no mapping_file.json: expected the folder that PIE-Bench's archive unpacks to")
    cases = []
    for key, item in islice(json.loads(mapping.read_text()).items(), limit):
        region = scratch / f"{key}-region.png"
        write(region, png(pie_region(item["mask"])))
        caption = item["editing_prompt"].replace("[", "").replace("]", "")
        source = data / "annotation_images" / item["image_path"]
        cases.append(Case(key, str(source), (item["editing_instruction"],), None, str(region), caption))
    return cases


def pie_region(runs: list[int] | str) -> Image.Image:
    """White where PIE-Bench says to edit. runs: start and length in turn, row by row; a list, or its numbers as text.

    Its authors count the outermost pixels as inside, since annotations are wrong there.
    """
    numbers = [int(n) for n in (runs.split() if isinstance(runs, str) else runs)]
    mask = np.zeros(PIE_SIDE * PIE_SIDE, np.uint8)
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        mask[start : start + length] = 255
    mask = mask.reshape(PIE_SIDE, PIE_SIDE)
    mask[[0, -1], :] = mask[:, [0, -1]] = 255
    return Image.fromarray(mask)


def _turns(data: Path, scratch: Path) -> Iterator[_Turn]:
    """MagicBrush's edits, those of a session together and in order."""
    if (data / "edit_sessions.json").is_file():
        return _turns_of_folder(data)
    files = sorted(data.rglob("*.parquet"))
    if not files:
        raise ValueError(
            f"{data} has neither edit_sessions.json nor parquet files: expected MagicBrush's test or dev set"
        )
    return _turns_of_parquet(files, scratch)


def _turns_of_folder(data: Path) -> Iterator[_Turn]:
    captions_file = data / "local_descriptions.json"
    captions = json.loads(captions_file.read_text()) if captions_file.is_file() else {}
    for session, edits in json.loads((data / "edit_sessions.json").read_text()).items():
        folder = data / "images" / session
        for number, edit in enumerate(edits, 1):
            pictures = (folder / edit[name] for name in ("input", "mask", "output"))
            caption = captions.get(session, {}).get(edit["output"])
            yield _Turn(session, number, *pictures, edit["instruction"], caption)


def _turns_of_parquet(files: list[Path], scratch: Path) -> Iterator[_Turn]:
    """A session may go on in the next file, but its edits follow each other."""
    for file in files:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=16):
            for line in batch.to_pylist():
                yield _unpacked(line, scratch)


def _unpacked(line: dict[str, Any], scratch: Path) -> _Turn:
    session, number = line["img_id"], line["turn_index"]
    paths = []
    for column in ("source_img", "mask_img", "target_img"):
        path = scratch / f"{session}-{number}-{column}.png"
        if not path.is_file():
            write(path, line[column]["bytes"])
        paths.append(path)
    return _Turn(session, number, *paths, line["instruction"], None)
