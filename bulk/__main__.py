"""`python -m bulk edit`: many edits; `python -m bulk evaluate`: the benchmarks of the field. See docs/bulk.md."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ray.actor import ActorHandle

from .edit import Edit, Turns
from .engine import Pool, connect, run
from .evaluate import BENCHMARKS, Method, evaluate
from .rows import read_rows
from .store import Store
from .workflow import read_workflow


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        (_edit if options.command == "edit" else _evaluate)(options)
    except (ValueError, RuntimeError) as error:
        print(f"bulk: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--out", type=Path, required=True, help="folder of the results; the same again goes on")
    shared.add_argument("--seed", type=int, default=42, help="of the noise, where a row names none")
    shared.add_argument("--workers", type=int, help="default: one a GPU, else one for every --threads cores")
    shared.add_argument("--threads", type=int, default=1, help="of each worker; decide, with the seed, on the pixels")
    shared.add_argument("--address", help="of a Ray cluster, such as auto; default: this machine alone")
    shared.add_argument("--servers", help="URL,URL,... of running ComfyUI servers, in place of one in each worker")
    parser = argparse.ArgumentParser(prog="python -m bulk", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    edit = commands.add_parser("edit", parents=[shared], help="edit the pictures of a table")
    edit.add_argument("--pictures", type=Path, required=True, help="the folder that the table's pictures are in")
    edit.add_argument(
        "--instructions",
        type=Path,
        required=True,
        help="FILE.csv, .jsonl or .parquet with columns picture, instruction and, if wanted, seed",
    )
    edit.add_argument("--workflow", required=True, help="a template of the pack by its number, or a workflow file")
    benchmark = commands.add_parser("evaluate", parents=[shared], help="edit and score a benchmark")
    benchmark.add_argument("--benchmark", choices=list(BENCHMARKS), required=True)
    benchmark.add_argument("--data", type=Path, required=True, help="the benchmark as its authors publish it")
    benchmark.add_argument(
        "--method",
        action="append",
        required=True,
        metavar="NAME=WORKFLOW",
        help="a way to edit, repeatable; named plain or published, the workflow is changed to that",
    )
    benchmark.add_argument("--rows", type=int, help="take the first so many alone")
    return parser.parse_args(arguments)


def _edit(options: argparse.Namespace) -> None:
    workflow = read_workflow(options.workflow)
    rows = read_rows(options.pictures, options.instructions, options.seed)
    Store(options.out).same_run({"workflow": workflow})
    pool, servers = _start(options)
    run(rows, options.out, pool, Edit, workflow, "", options.threads, servers)
    failed = sum(bool(record["error"]) for record in Store(options.out).records())
    print(f"{options.out.resolve()}: table.parquet, pictures, masks; {failed} of {len(rows)} rows failed")


def _evaluate(options: argparse.Namespace) -> None:
    methods = []
    for method in options.method:
        name, equals, workflow = method.partition("=")
        if not equals:
            raise ValueError(f"--method {method}: expected NAME=WORKFLOW, such as plain=2")
        methods.append(Method(name, workflow, read_workflow(workflow)))
    benchmark = BENCHMARKS[options.benchmark]
    cases = benchmark.read(options.data, options.out / "cases", options.rows)
    print(evaluate(benchmark, cases, methods, options.out, options.seed, *_start(options)))


def _start(options: argparse.Namespace) -> tuple[Pool, ActorHandle | None]:
    servers = options.servers.split(",") if options.servers else []
    pool = connect(options.address, options.workers or len(servers) or None, options.threads)
    turns: Any = Turns
    return (pool._replace(gpus=0), turns.remote(servers)) if servers else (pool, None)


if __name__ == "__main__":
    sys.exit(main())
