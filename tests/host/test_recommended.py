"""The recommended setting gives what tests/data/make_recommended.py froze."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from recommended_case import CASES, run_recommended, thin

DATA = Path(__file__).parents[1] / "data"
RELATIVE = 3e-5  # to the largest value: ten times what one thread instead of two, which rounds otherwise, changes


@pytest.mark.parametrize("case", CASES)
def test_gives_what_was_frozen(host, case):
    frozen = dict(np.load(DATA / f"recommended_{case}.npz"))
    region = torch.from_numpy(frozen["mask"]).float()
    assert 0.01 < region.mean() < 0.99
    got = {name: thin(name, value).numpy() for name, value in run_recommended(host, case, region).items()}
    assert set(got) == set(frozen)
    # A pixel that is as near to one segment as to another may go to either.
    assert adjusted_rand_score(got.pop("labels").flatten(), frozen.pop("labels").flatten()) > 0.999
    assert (got.pop("mask") != frozen.pop("mask")).mean() < 1e-3
    for name, wanted in frozen.items():
        np.testing.assert_allclose(got[name], wanted, rtol=0, atol=RELATIVE * np.abs(wanted).max(), err_msg=name)
