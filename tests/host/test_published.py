"""The "published" setting agrees with the published code, whose outcome tests/data/make_published.py froze."""

from pathlib import Path

import numpy as np
import pytest

from published_case import CASES, in_picture, run_pack, thin, with_grams

DATA = Path(__file__).parents[1] / "data"
# Ten times what was measured, tests/data/make_published.py.
ABSOLUTE = {"attention": 4e-6, "averaged": 2e-7, "regularized_call": 4e-5}
RELATIVE = {"gram": 1e-5, "plain": 4e-5, "regularized": 1e-5}  # to the largest value
VARIANCE = 5e-6  # within segments, what K-means minimises; relative
OTHER_SEGMENT = {192: 0, 256: 0, 512: 0.042}  # share of pixels, where rounding decides otherwise


def frozen(pixels):
    return dict(np.load(DATA / f"published_{pixels}.npz"))


@pytest.mark.parametrize("pixels", CASES)
def test_the_whole_chain_gives_what_the_published_code_gives(host, pixels):
    """Words given the tags, record, segments from the same start, region, regularised edit."""
    published = frozen(pixels)
    got = run_pack(host, CASES[pixels], published.pop("starts"), published["labels"])
    variance, wanted = got.pop("variances")
    assert variance == pytest.approx(wanted, rel=VARIANCE)
    assert (got.pop("labels") != published.pop("labels")).mean() <= OTHER_SEGMENT[pixels]
    published["roi"] = in_picture(published["roi"], pixels)
    published = with_grams(published, [m.shape[:2] for name, m in got.items() if name.startswith("attention_")])
    assert set(got) == set(published)
    assert 0.01 < got["roi"].mean() < 0.99
    for name, wanted in published.items():
        kind = name.split("_")[0] if name.startswith(("attention_", "gram_")) else name
        if kind in ABSOLUTE or kind in RELATIVE:
            limit = ABSOLUTE[kind] if kind in ABSOLUTE else RELATIVE[kind] * np.abs(wanted).max()
            np.testing.assert_allclose(thin(name, got[name]), wanted, rtol=0, atol=limit, err_msg=name)
        else:
            assert np.array_equal(got[name], wanted), name


@pytest.mark.parametrize("pixels", CASES)
def test_the_region_matters_to_the_published_outcome(pixels):
    published = frozen(pixels)
    assert np.abs(published["regularized"] - published["plain"]).max() > 0.05 * np.abs(published["plain"]).max()
