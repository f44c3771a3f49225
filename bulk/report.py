"""What was measured, beside what the paper reports."""

from collections.abc import Mapping
from typing import Any

COLUMNS = {
    "l1": "L1 ↓",
    "l2": "L2 ↓",
    "clip_i": "CLIP-I ↑",
    "dino": "DINO ↑",
    "clip_t": "CLIP-T ↑",
    "psnr": "PSNR outside ↑",
    "ssim": "SSIM outside ↑",
    "lpips": "LPIPS outside ↓",
    "structure": "structure distance outside ↓",
    "iou": "region IoU ↑",
}
# LIME, arXiv 2312.09256, its tables of MagicBrush; what a row leaves out is not taken over here.
PAPER: dict[str, dict[str, dict[str, float]]] = {
    "MagicBrush, single turn": {
        "InstructPix2Pix": {"l1": 0.112, "l2": 0.037, "clip_i": 0.852, "dino": 0.743, "clip_t": 0.276},
        "InstructPix2Pix + LIME": {"l1": 0.058, "l2": 0.017, "clip_i": 0.935, "dino": 0.906, "clip_t": 0.293},
        "HIVE + LIME": {"l1": 0.051, "dino": 0.909},
    },
    "MagicBrush, multi turn": {
        "InstructPix2Pix": {"l1": 0.158, "dino": 0.618},
        "InstructPix2Pix + LIME": {"l1": 0.094, "dino": 0.817},
    },
}
WITHOUT = "the benchmark has no row to measure it on"


def report(benchmark: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown. results: by method, its workflow, rows, scored, missing, and each metric's mean or None."""
    paper = PAPER.get(benchmark, {})
    lines = [f"# {benchmark}\n", f"| | rows | {' | '.join(COLUMNS.values())} |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for name, result in results.items():
        lines.append(_line(f"{name} ({result['workflow']}), measured", f"{result['scored']}/{result['rows']}", result))
    lines += [_line(f"{name}, the paper's figure", "–", figures) for name, figures in paper.items()]
    lines.append("\nMeasured here: the rows that say so, on as many of all. The paper's rows were not measured here.")
    for name, result in results.items():
        for metric, title in COLUMNS.items():
            if result[metric] is None:
                lines.append(f"- {name}: {title[:-2]} was not measured: {_why(metric, result)}.")
    return "\n".join(lines) + "\n"


def _line(name: str, rows: str, figures: Mapping[str, Any]) -> str:
    cells = [f"{figures[metric]:.3g}" if figures.get(metric) is not None else "–" for metric in COLUMNS]
    return f"| {name} | {rows} | {' | '.join(cells)} |"


def _why(metric: str, result: Mapping[str, Any]) -> str:
    needs = "clip_i" if metric == "clip_t" else metric
    return result["missing"].get(needs, WITHOUT)
