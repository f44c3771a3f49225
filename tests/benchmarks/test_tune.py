"""The sweeps that settings cite."""

import re

import pytest

from benchmarks.tune import FIRST_TUNING_SEED, SWEEPS
from demo.edits import FIRST_SEED
from demo.figures import RESULTS
from demo.host import PACK

CITED = [
    name
    for file in ("lime_ops/settings.py", "demo/edits.py")
    for name in re.findall(r"sweep `(\w+)`", (PACK / file).read_text())
]


def test_every_sweep_is_cited_and_every_cited_sweep_exists():
    assert set(CITED) == set(SWEEPS)


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_has_a_results_file_and_the_value_that_is_used(name):
    assert (RESULTS / f"tune_{name}.json").is_file()
    assert SWEEPS[name].used in SWEEPS[name].methods


def test_settings_are_chosen_on_scenes_that_are_not_reported():
    assert 3000 <= FIRST_TUNING_SEED < 10_000 < FIRST_SEED
