"""A Ray of this machine's own, for all tests that need one."""

import os
from pathlib import Path

import pytest

PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[2])]  # of what workers import


@pytest.fixture(scope="session")
def python_path():
    """The environment of processes that import the jobs of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(PATHS))
        yield


@pytest.fixture(scope="session")
def pool(python_path):
    """Two workers of one thread each."""
    import ray

    from bulk.engine import connect

    yield connect(None, workers=2, threads=1)
    ray.shutdown()
