"""Tests run in two processes side by side: each computes with one thread, as do the servers that it starts."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # more wait for one another; before torch comes


def pytest_collection_modifyitems(items: list) -> None:
    """The page's tests first: their files take longest, and at the end one process would wait for them."""
    items.sort(key=lambda item: "page" not in item.fixturenames)
