"""Freezes what the recommended setting gives on the small random model: `uv run python tests/data/make_recommended.py`.

Run it only where a change is meant to change results, and say in the commit what changed and by how much: without
`--write` it prints how far each result is from the frozen one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "host")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the frozen results")
    options = parser.parse_args()
    from conftest import load_host

    from recommended_case import CASES, run_recommended, thin

    host = load_host()
    for case in CASES:
        path = HERE / f"recommended_{case}.npz"
        with torch.inference_mode():
            got = {name: thin(name, value).numpy() for name, value in run_recommended(host, case).items()}
        if options.write:
            np.savez_compressed(path, **got)
        for name, wanted in np.load(path).items():
            apart = np.abs(got[name].astype(float) - wanted).max()
            print(f"{case:8} {name:14} {apart:.2e} of {np.abs(wanted).max():.2e}")


if __name__ == "__main__":
    main()
