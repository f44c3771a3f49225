"""The "published" setting agrees with the published code, whose outcome tests/data/make_published.py froze."""

from pathlib import Path

import numpy as np
import pytest

from published_case import make_case, run_pack, thin, with_grams

DATA = Path(__file__).parents[1] / "data"
# Ten times what was measured, tests/data/make_published.py.
ABSOLUTE = {"attention": 4e-6, "averaged": 2e-7, "regularized_call": 4e-5}
RELATIVE = {"gram": 1e-5, "plain": 1e-5, "regularized": 1e-5}  # to the largest value


@pytest.mark.parametrize("side", [24, 32])
def test_agrees_with_the_published_code(host, side):
    published = dict(np.load(DATA / f"published_{side}.npz"))
    got = run_pack(host, make_case(host, side), published.pop("labels"))
    sizes = [value.shape[:2] for name, value in got.items() if name.startswith("attention_")]
    published = with_grams(published, sizes)
    assert set(got) == set(published)
    assert np.array_equal(got["roi"], published["roi"])
    assert 0.01 < got["roi"].mean() < 0.99
    for name, wanted in published.items():
        kind = name.split("_")[0] if name.startswith(("attention_", "gram_")) else name
        if kind in RELATIVE:
            limit = RELATIVE[kind] * np.abs(wanted).max()
        elif kind in ABSOLUTE:
            limit = ABSOLUTE[kind]
        else:
            continue
        np.testing.assert_allclose(thin(name, got[name]), wanted, rtol=0, atol=limit, err_msg=name)


def test_the_region_matters_to_the_published_outcome():
    published = np.load(DATA / "published_32.npz")
    apart = np.abs(published["regularized"] - published["plain"]).max()
    assert apart > 0.05 * np.abs(published["plain"]).max()
