"""How well `edit_words` does on the labelled instructions: `uv run python tests/data/score_words.py`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "lime_ops")]


def main() -> None:
    from test_words import HALVES, SORTS, exactness_and_f1, labelled, long_labelled

    sets = {"short": labelled()}
    sets |= {f"{half} {sort}": long_labelled(half, sort) for half in HALVES for sort in SORTS}
    for name, instructions in sets.items():
        if instructions:
            exact, f1 = exactness_and_f1(instructions)
            print(f"{name}: {round(exact * len(instructions))} of {len(instructions)} exact, F1 {f1:.3f}")


if __name__ == "__main__":
    main()
