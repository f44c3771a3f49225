"""A row counts once its record is renamed into place."""

import pyarrow.parquet
import pytest

from bulk.store import Store, write

KEY, OTHER = "a-0123456789abcdef", "b-0123456789abcdff"


def test_half_written_files_never_count_and_are_cleared(tmp_path):
    store = Store(tmp_path)
    path = store.path("rows", KEY, ".json")
    path.parent.mkdir(parents=True)
    half = path.with_name(f".{path.name}.0.half")
    half.write_bytes(b'{"key": ')
    store.finish(OTHER, {"key": OTHER, "error": None}, {"pictures": b"png"})
    store.start(KEY)
    assert not store.is_finished(KEY)
    assert store.open() == {OTHER}
    assert not half.exists()
    assert store.start(KEY) == 1, "what killed runs began does not count against a row"


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write(path, b"before")
    with pytest.raises(TypeError):
        write(path, "no bytes")  # ty: ignore[invalid-argument-type]
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_table_has_every_key_once_and_columns_of_all(tmp_path):
    store = Store(tmp_path)
    store.finish(KEY, {"key": KEY, "error": "was too large"}, {})
    store.finish(KEY, {"key": KEY, "error": None, "seconds": 1.5}, {"pictures": b"png"})
    store.finish(OTHER, {"key": OTHER, "error": "bad picture"}, {})
    rows = pyarrow.parquet.read_table(store.write_table()).to_pylist()
    assert rows == [
        {"key": KEY, "error": None, "seconds": 1.5},
        {"key": OTHER, "error": "bad picture", "seconds": None},
    ]


def test_results_of_another_workflow_are_refused(tmp_path):
    store = Store(tmp_path)
    store.same_run({"workflow": {"1": "a"}})
    store.same_run({"workflow": {"1": "a"}})
    with pytest.raises(ValueError, match="another workflow"):
        store.same_run({"workflow": {"1": "b"}})
