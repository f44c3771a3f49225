"""Many edits on many workers, and the benchmarks of the field: `python -m bulk edit`, `python -m bulk evaluate`."""
