"""Tables of pictures and instructions."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from bulk.rows import read_rows

LINES = [
    {"picture": "one.png", "instruction": "make it red", "seed": 3},
    {"picture": "sub/two.jpg", "instruction": 'say "hello", then go', "seed": None},
    {"picture": "one.png", "instruction": "make it red", "seed": 3},
    {"picture": "three.png", "instruction": "", "seed": None},
]


def tables(folder: Path) -> list[Path]:
    paths = [folder / f"table{suffix}" for suffix in (".csv", ".jsonl", ".parquet")]
    csv = 'picture,instruction,seed\none.png,make it red,3\nsub/two.jpg,"say ""hello"", then go",\n'
    paths[0].write_text(csv + "one.png,make it red,3\nthree.png,,\n")
    paths[1].write_text("".join(json.dumps(line) + "\n" for line in LINES))
    pyarrow.parquet.write_table(pa.Table.from_pylist(LINES), paths[2])
    return paths


def test_three_kinds_of_tables_say_the_same_and_what_is_said_twice_is_one_row(tmp_path):
    csv, jsonl, parquet = (read_rows(tmp_path, table, seed=7) for table in tables(tmp_path))
    assert csv == jsonl == parquet
    assert [(row["picture"], row["instructions"], row["seed"]) for row in csv] == [
        (str(tmp_path / "one.png"), ["make it red"], 3),
        (str(tmp_path / "sub/two.jpg"), ['say "hello", then go'], 7),
        (str(tmp_path / "three.png"), [""], 7),
    ]


def test_keys_stay_when_the_folder_moves_and_differ_with_the_seed(tmp_path):
    table = tables(tmp_path)[0]
    keys = [row["key"] for row in read_rows(tmp_path, table, seed=7)]
    assert keys == [row["key"] for row in read_rows(tmp_path / "elsewhere", table, seed=7)]
    other = [row["key"] for row in read_rows(tmp_path, table, seed=8)]
    assert other[0] == keys[0], "it names its own seed"
    assert other[1] != keys[1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "picture,instruction\n", "expected one of .csv, .jsonl, .parquet"),
        ("a.csv", "picture,text\na.png,x\n", "expected instruction too"),
        ("a.jsonl", "{no json", "cannot be read"),
        ("a.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path, tmp_path / name, 0)
