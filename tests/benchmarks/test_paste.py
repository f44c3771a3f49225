"""The paste benchmark: its cases are what they claim, and it runs what the node runs."""

import pytest
import torch

pytest.importorskip("cv2")

from benchmarks.paste import EVERYTHING, blocks, corner_error, measure_cases, ours, summaries, verdicts
from benchmarks.paste_cases import PHOTOGRAPHS, make_case
from benchmarks.paste_judge import BORDER
from benchmarks.paste_pictures import CREDITS
from lime_ops import RECOMMENDED, whole_picture
from lime_ops.photograph import paste_back
from lime_ops.resampling import stretch


def test_a_case_without_drift_is_the_clean_edit_in_its_place():
    case = make_case(7, ())
    assert torch.equal(case.edit, case.clean)
    torch.testing.assert_close(case.truth, stretch(case.photograph.shape[1:3], case.edit.shape[1:3]))
    assert corner_error(case, case.truth) == 0


def test_what_is_measured_is_the_node_s_own_paste():
    case = make_case(3, EVERYTHING)
    (composite, _), _, said = ours(case)
    whole = whole_picture(case.photograph.shape[1:3])  # scaled, not cropped: what LIME Crop Around says
    pasted, lines = paste_back(case.photograph, case.edit, case.mask, crop=whole)
    assert torch.equal(composite, pasted) and lines == [said]
    assert RECOMMENDED.feather == BORDER


def test_a_row_s_figures_are_judged_and_tabled():
    rows = {"shift": summaries("shift", measure_cases("shift", range(102_000, 102_002)))}
    lines = verdicts(rows, {"2 megapixels": {"seconds": 1.5}})
    assert "MISSED: seconds at 2 megapixels: 1.5 <= 1.0" in lines
    assert sum(line.startswith("kept: corner_p95 of shift") for line in lines) == 1
    table = blocks(rows, {})[0]["rows"]["shift"]
    assert table["cases"] == "2" and table["pixels changed outside"] == "0"
    assert float(table["95 %"]) < 0.5


def test_a_photograph_without_a_licence_is_never_shown():
    assert set(PHOTOGRAPHS) - set(CREDITS) == {"motorcycle"}
