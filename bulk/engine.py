"""Ray Data runs a job over rows: on this machine, or on a cluster; every finished row stays finished."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # workers use this environment, under `uv run` too

import ray
import ray.data
import ray.exceptions
from tqdm import tqdm

from .hosts import NoServer
from .rows import Row
from .store import Store

SPARE_CPUS = 2  # beside the workers': without, tasks of Ray Data's own wait for ever
OBJECT_STORE = 128 * 2**20  # bytes: what travels are rows without pictures
MOST_BLOCKS = 10_000  # a block is given to a worker as a whole
ATTEMPTS = 3  # rows that a worker died of so often in one run have failed
Record = dict[str, Any]
Job = Callable[[Row], tuple[Record, Mapping[str, bytes]]]


class Pool(NamedTuple):
    """Workers: one a GPU, or one a share of the cores."""

    workers: int
    threads: int  # of each
    gpus: int = 0  # of each


def connect(address: str | None, workers: int | None, threads: int) -> Pool:
    """Joins the Ray cluster at an address, or starts Ray here. workers: None for as many as there is room for."""
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    if address is None:
        cores = os.cpu_count() or 1
        cpus = max((workers or 1) * threads, cores) + SPARE_CPUS
        ray.init(
            num_cpus=cpus,
            object_store_memory=OBJECT_STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        room = cores
    else:
        ray.init(address=address, log_to_driver=False)
        room = int(ray.cluster_resources().get("CPU", 1)) - SPARE_CPUS
    gpus = int(ray.cluster_resources().get("GPU", 0))
    return Pool(workers or gpus or max(1, room // threads), threads, gpus=1 if gpus else 0)


def run(rows: Sequence[Row], folder: Path, pool: Pool, make_job: Callable[..., Job], *arguments: Any) -> None:
    """Runs the job on every row that is not finished in the folder, shows the progress, and writes the table.

    make_job(*arguments) is called once a worker. Raises RuntimeError when workers cannot work at all.
    """
    store = Store(folder)
    finished = store.open()
    todo = [row for row in rows if row["key"] not in finished]
    with tqdm(total=len(rows), initial=len(rows) - len(todo), unit="row", desc=folder.name) as bar:
        errors = 0
        for result in _results(todo, folder, pool, make_job, arguments):
            errors += result["failed"]
            bar.set_postfix(errors=errors, refresh=False)
            bar.update()
    store.write_table()


def _results(todo: Sequence[Row], folder: Path, pool: Pool, make_job: Callable[..., Job], arguments: Sequence) -> Any:
    if not todo:
        return
    ray.data.DataContext.get_current().enable_progress_bars = False
    results = ray.data.from_items(list(todo), override_num_blocks=min(len(todo), MOST_BLOCKS)).map(
        cast(Any, Worker),  # Ray Data's hint knows functions alone
        fn_constructor_args=(folder.resolve(), make_job, arguments),
        compute=ray.data.ActorPoolStrategy(size=min(pool.workers, len(todo))),
        num_cpus=pool.threads,
        num_gpus=pool.gpus,
        runtime_env={"env_vars": {"OMP_NUM_THREADS": str(pool.threads)}},
    )
    try:
        yield from results.iter_rows()
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"the workers cannot work: {error}") from None


class Worker:
    """One actor. Ray starts it anew when its process dies, and gives it the rows again that it had."""

    def __init__(self, folder: Path, make_job: Callable[..., Job], arguments: Sequence[Any]) -> None:
        self.store = Store(folder)
        self.job = make_job(*arguments)

    def __call__(self, row: Row) -> dict[str, Any]:
        key = row["key"]
        if self.store.is_finished(key):
            return {"key": key, "failed": False}
        record, files = self._attempt(row)
        self.store.finish(key, dict(row) | record, files)
        return {"key": key, "failed": bool(record["error"])}

    def _attempt(self, row: Row) -> tuple[Record, Mapping[str, bytes]]:
        if self.store.start(row["key"]) > ATTEMPTS:
            return {"error": f"the worker died at this row {ATTEMPTS} times"}, {}
        try:
            record, files = self.job(row)
        except NoServer:
            raise
        except Exception as error:  # whatever is wrong with one row, the others go on
            return {"error": f"{type(error).__name__}: {error}"}, {}
        return {"error": None} | record, files
