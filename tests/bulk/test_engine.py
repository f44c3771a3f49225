"""Ray Data's part: with jobs that need no ComfyUI, whose workers are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest
import ray

from bulk.engine import ATTEMPTS, run
from bulk.rows import make_row
from bulk.store import Store
from jobs import Told


def rows_of(*told: str) -> list:
    return [make_row(f"{n}.png", f"{n}.png", [what], 1) for n, what in enumerate(told)]


def log_of(path: Path) -> list[tuple[str, int]]:
    return [(key, int(process)) for key, process in (line.split() for line in path.read_text().splitlines())]


def test_a_row_that_fails_or_kills_its_worker_is_one_row_with_its_error_and_done_once(pool, tmp_path):
    rows = rows_of("work", "fail", "die", *["work"] * 9)
    log, out = tmp_path / "log", tmp_path / "out"
    run(rows[:5], out, pool, Told, log)
    run(rows, out, pool, Told, log)
    table = pyarrow.parquet.read_table(out / "table.parquet").to_pylist()
    errors = {row["instructions"][0]: row["error"] for row in table if row["error"]}
    assert errors == {"fail": "ValueError: told to", "die": f"the worker died at this row {ATTEMPTS} times"}
    assert sorted(row["key"] for row in table) == sorted(row["key"] for row in rows)
    begun = Counter(key for key, _ in log_of(log))
    assert begun.pop(rows[2]["key"]) == ATTEMPTS
    assert set(begun.values()) == {1}


def test_killed_workers_lose_nothing_and_do_nothing_twice(pool, tmp_path):
    rows, log, killed = rows_of(*["work"] * 40), tmp_path / "log", []

    def kill() -> None:
        while len(killed) < 2:
            time.sleep(0.3)
            working = log_of(log)[-1][1] if log.is_file() and log.stat().st_size else None
            if working and working not in killed:
                os.kill(working, signal.SIGKILL)
                killed.append(working)

    killer = threading.Thread(target=kill)
    killer.start()
    run(rows, tmp_path / "out", pool, Told, log, 0.1)
    killer.join()
    records = list(Store(tmp_path / "out").records())
    assert [record["key"] for record in records] == sorted(row["key"] for row in rows)
    assert not [record for record in records if record["error"]]
    begun = Counter(key for key, _ in log_of(log))
    assert len(rows) <= sum(begun.values()) <= len(rows) + len(killed), "only rows under way are done again"


def test_servers_that_do_not_answer_end_the_run_and_blame_no_row(pool, tmp_path):
    with pytest.raises(RuntimeError, match="none of the servers answers"):
        run(rows_of("stop"), tmp_path / "out", pool, Told, tmp_path / "log")
    assert not list(Store(tmp_path / "out").records())


def test_a_killed_command_leaves_only_finished_rows(pool, tmp_path):
    """The command joins the cluster of the other tests by its address."""
    script = (
        "import sys; from pathlib import Path; from bulk.engine import connect, run; from jobs import Told;"
        "from test_engine import rows_of; out = Path(sys.argv[1]);"
        "run(rows_of(*['work'] * 40), out / 'out', connect(sys.argv[2], 1, 1), Told, out / 'log', 0.2)"
    )
    address = ray.get_runtime_context().gcs_address
    command = subprocess.Popen([sys.executable, "-c", script, tmp_path, address], start_new_session=True)
    store = Store(tmp_path / "out")
    until = time.monotonic() + 60
    while len(list(store.records())) < 3 and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    finished = {record["key"] for record in store.records()}
    assert 3 <= len(finished) < 40
    assert all(store.path("pictures", key, ".png").read_bytes() == key.encode() for key in finished)
    assert store.open() >= finished
