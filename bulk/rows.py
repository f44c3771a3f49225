"""What is to be edited: the rows of a table that names pictures and instructions."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

CSV_TYPES = {"picture": pa.string(), "instruction": pa.string(), "seed": pa.int64()}


def _read_csv(path: Path) -> pa.Table:
    return pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types=CSV_TYPES))


READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": _read_csv,
    ".jsonl": pyarrow.json.read_json,
    ".parquet": pyarrow.parquet.read_table,
}


class Row(TypedDict):
    """One result to be made: a picture, edited by one instruction or by several in turn."""

    key: str  # names its files
    picture: str  # path
    instructions: list[str]
    seed: int  # of the noise


def read_rows(pictures: Path, table: Path, seed: int) -> list[Row]:
    """Rows of a table with columns `picture`, a path in the folder `pictures`, `instruction` and, if wanted, `seed`.

    seed: of rows without one. Rows that say the same are one row. Raises ValueError for a table that is none, and
    nothing for rows that cannot be edited: these fail one by one.
    """
    if table.suffix not in READERS:
        raise ValueError(f"{table} ends in {table.suffix!r}: expected one of {', '.join(READERS)}")
    try:
        content = READERS[table.suffix](table)
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"{table} cannot be read ({error})") from None
    if missing := {"picture", "instruction"} - set(content.column_names):
        raise ValueError(f"{table} has columns {content.column_names}: expected {', '.join(sorted(missing))} too")
    rows = {}
    for line in content.to_pylist():
        name, instruction = str(line["picture"] or ""), str(line["instruction"] or "")
        chosen = line.get("seed")
        row = make_row(name, str(pictures / name), [instruction], seed if chosen is None else int(chosen))
        rows[row["key"]] = row
    return list(rows.values())


def make_row(name: str, picture: str, instructions: Sequence[str], seed: int) -> Row:
    """A row whose key is made of what the result depends on, but not of where its picture lies."""
    said = json.dumps([name, list(instructions), seed])
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", Path(name).stem)[:40]
    return Row(key=f"{stem}-{digest}", picture=picture, instructions=list(instructions), seed=seed)
