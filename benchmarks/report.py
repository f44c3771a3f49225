"""Writes docs/results.md, and the marked figures of README.md, from benchmarks/results/*.json.

`python -m benchmarks.report` writes; with `--check` it only says what differs, and exits with 1. A results file has
"meta" and either "blocks", a list of tables {"title", "note", "rows": {row: {column: cell}}}, or one figure a key. A
cell is a text or a figure {"value", "low", "high", ...}, where low and high, its 95 % interval, may be missing. README
marks a figure as `<!-- figure FILE | ROW | COLUMN -->...<!-- /figure -->`; where a file has no blocks, ROW is the
figure's key and COLUMN "value".
"""

import argparse
import json
import re
import sys
from typing import Any

from demo.figures import RESULTS
from demo.host import PACK

PAGE, README = PACK / "docs" / "results.md", PACK / "README.md"
MOST_MARKS = 3  # README is no table
MARK = re.compile(r"(<!-- figure ([^|>]+) \| ([^|>]+) \| ([^|>]+) -->)(.*?)(<!-- /figure -->)", re.DOTALL)
# Order and titles of the files; those that are not named here follow under their own names.
TITLES = {
    "quality": "How well regions are found and edits kept inside them",
    "speed": "What the pack costs",
    "families": "What the pack costs a block of large models",
    "paste": "Pasting back",
    "demo": "The demo model",
    "photographs": "The demo model on photographic scenes",
    "tokens": "Which tokens regularising should silence",
    "dit": "The DiT in miniature",
    "bulk": "Many edits",
}
# How a column of figures is headed and shown: (heading, factor, digits). Others: as named, three significant digits,
# four from 1 to 10.
COLUMNS = {
    "roi_iou": ("RoI IoU", 1, 2),
    "outside": ("outside change", 1, 3),
    "inside": ("inside distance", 1, 3),
    "success": ("success, %", 100, 0),
    "unets": ("UNets", 1, 0),
}
META = {"command": "`{}`", "host": "ComfyUI {}", "torch": "torch {}"}
HEAD = """# Results

Written by `python -m benchmarks.report` from `benchmarks/results/`. Brackets are 95 % intervals by the bootstrap.
"Differences" are from the row that has none, scene by scene: those whose interval leaves out 0, or "neutral" where all
include it. What the tables of edits measure and what they say: [quality.md](quality.md).
"""


def page(results: dict[str, dict[str, Any]]) -> str:
    """The whole of docs/results.md."""
    known = [name for name in TITLES if name in results]
    names = known + sorted(results.keys() - set(known))
    return "\n".join([HEAD, *(section(name, results[name]) for name in names)])


def section(name: str, result: dict[str, Any]) -> str:
    """One file's title, where it comes from, and its tables."""
    title = TITLES.get(name, name.replace("_", " ").capitalize())
    origin = ", ".join(_told(key, value) for key, value in result["meta"].items())
    return "\n".join([f"## {title}\n", f"{origin}.\n", *map(table, blocks_of(result))])


def _told(key: str, value: Any) -> str:
    if key in META:
        return META[key].format(value)
    return value if isinstance(value, str) else f"{value} {key.replace('_', ' ')}"


def blocks_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A file's tables; single figures make one, in which what else is said of a figure has columns of its own."""
    if "blocks" in result:
        return result["blocks"]
    rows = {}
    for name, figure in result.items():
        if name != "meta":
            own = {key: value for key, value in figure.items() if key in ("value", "low", "high")}
            rest = {key: str(value) for key, value in figure.items() if key not in own and value is not None}
            rows[name] = {"value": own} | rest
    return [{"rows": rows}]


def table(block: dict[str, Any]) -> str:
    """A block in Markdown."""
    given = dict.fromkeys(column for row in block["rows"].values() for column in row)
    last = [column for column in (*COLUMNS, "differences") if column in given]
    columns = [column for column in given if column not in last] + last
    lines = [["", *map(_heading, columns)], ["---"] * (len(columns) + 1)]
    for name, row in block["rows"].items():
        lines.append([name.replace("_", " "), *(shown(row.get(column), column) for column in columns)])
    above = [f"### {block['title']}\n"] if "title" in block else []
    above += [f"{block['note']}\n"] if "note" in block else []
    return "\n".join([*above, *(f"| {' | '.join(line)} |" for line in lines), ""])


def _heading(column: str) -> str:
    return COLUMNS[column][0] if column in COLUMNS else column.replace("_", " ")


def shown(cell: Any, column: str, interval: bool = True) -> str:
    """A cell as text."""
    if cell is None or isinstance(cell, str):
        return cell or "–"
    if column == "differences":
        return differences(cell)
    value = _number(cell["value"], column)
    if not interval or "low" not in cell:
        return value
    return f"{value} [{_number(cell['low'], column)}, {_number(cell['high'], column)}]"


def _number(value: float, column: str) -> str:
    if column not in COLUMNS:
        if 1 <= abs(value) < 10:  # ratios that are 1 to a few thousandths
            return f"{value:.4g}"
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    _, factor, digits = COLUMNS[column]
    return f"{factor * value:.{digits}f}"


def differences(cell: dict[str, dict[str, float]]) -> str:
    """The differences whose intervals leave out 0; "neutral" where there is none."""
    clear = {name: figure["value"] for name, figure in cell.items() if not figure["low"] <= 0 <= figure["high"]}
    texts = [f"{COLUMNS[name][0]} {COLUMNS[name][1] * value:+.2g}" for name, value in clear.items()]
    return ", ".join(texts).replace("-", "−") or "neutral"


def filled(text: str, results: dict[str, dict[str, Any]]) -> str:
    """A text with its marked figures as the files have them. Raises ValueError for a mark that no file answers."""
    if len(MARK.findall(text)) != text.count("<!-- figure ") or text.count("<!-- figure ") > MOST_MARKS:
        raise ValueError(f"README.md: expected up to {MOST_MARKS} marks `<!-- figure FILE | ROW | COLUMN -->`")

    def fill(mark: re.Match) -> str:
        before, name, row, column, _, after = mark.groups()
        blocks = blocks_of(results[name]) if name in results else []
        cells = [block["rows"][row][column] for block in blocks if column in block["rows"].get(row, {})]
        if not cells:
            raise ValueError(f"README.md: no results file answers {before}")
        return f"{before}{shown(cells[0], column, interval=False)}{after}"

    return MARK.sub(fill, text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when files and text differ")
    options = parser.parse_args()
    results = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    texts = {PAGE: page(results), README: filled(README.read_text(), results)}
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(PACK)} {'differs from' if options.check else 'written from'} benchmarks/results")
        if not options.check:
            path.write_text(texts[path])
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
