"""A folder of results that any kill leaves sound: a row counts once its record has been renamed into place."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

ROWS, ERRORS, STARTED = "rows", "errors", "started"
HALF = ".half"  # ends the name of a file that is being written


class Store:
    """The folder of one run. Files lie in kind/last two letters of the key/key: few in a folder, even of millions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> set[str]:
        """Keys of the rows that are finished, failed ones included. Clears what a killed run left half done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / STARTED, ignore_errors=True)
        for half in self.folder.rglob(f".*{HALF}"):
            half.unlink(missing_ok=True)
        return {path.stem for kind in (ROWS, ERRORS) for path in self._records(kind)}

    def path(self, kind: str, key: str, suffix: str) -> Path:
        return self.folder / kind / key[-2:] / f"{key}{suffix}"

    def is_finished(self, key: str) -> bool:
        return any(self.path(kind, key, ".json").is_file() for kind in (ROWS, ERRORS))

    def start(self, key: str) -> int:
        """Notes that a row is begun; how often it has been in this run, this time included."""
        path = self.path(STARTED, key, "")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(b".")
        return path.stat().st_size

    def finish(self, key: str, record: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Writes a row's files, {kind: PNG}, and last its record, which makes it count."""
        for kind, content in files.items():
            write(self.path(kind, key, ".png"), content)
        kind = ERRORS if record.get("error") else ROWS
        write(self.path(kind, key, ".json"), json.dumps(record).encode())
        self.path(STARTED, key, "").unlink(missing_ok=True)

    def records(self) -> Iterator[dict[str, Any]]:
        """Records by key, each key once: of a row that failed and then did not, the better one."""
        good = {path.stem: path for path in self._records(ROWS)}
        paths = {path.stem: path for path in self._records(ERRORS)} | good
        for key in sorted(paths):
            yield json.loads(paths[key].read_bytes())

    def write_table(self) -> Path:
        """All records as table.parquet."""
        path = self.folder / "table.parquet"
        records = list(self.records())
        columns = dict.fromkeys(name for record in records for name in record)
        content = pa.BufferOutputStream()
        table = pa.table({name: [record.get(name) for record in records] for name in columns})
        pyarrow.parquet.write_table(table, content)
        write(path, content.getvalue().to_pybytes())
        return path

    def same_run(self, description: dict[str, Any]) -> None:
        """Keeps what the folder's results are made with. Raises ValueError where it holds results of something else."""
        path = self.folder / "run.json"
        if path.is_file() and json.loads(path.read_bytes()) != json.loads(json.dumps(description)):
            raise ValueError(f"{self.folder} holds results of another workflow: choose another --out, or remove it")
        write(path, json.dumps(description, indent=1).encode())

    def _records(self, kind: str) -> Iterator[Path]:
        return (self.folder / kind).glob("*/*.json")


def write(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, whenever the process or the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{uuid.uuid4().hex}{HALF}")
    try:
        with half.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            half.unlink()
        raise
