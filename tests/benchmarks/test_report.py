"""Tables and marked figures are what the results files say."""

import json

import pytest

from benchmarks import report

FIGURE = {"value": 0.123456, "low": 0.1, "high": 0.2}
RESULTS = {
    "quality": {
        "meta": {"command": "python -m benchmarks.quality", "date": "2026-01-02", "scenes": 20},
        "blocks": [{"title": "Methods", "note": "A note.", "rows": {"ours": {"roi_iou": FIGURE, "success": FIGURE}}}],
    },
    "speed": {"meta": {"command": "c"}, "one_pass": FIGURE | {"bound": 1.05, "rounds": 15}, "memory": {"value": 40}},
}
MARK = "<!-- figure quality | ours | roi_iou -->{}<!-- /figure -->"


def lines_of(results):
    return report.page(results).splitlines()


def test_the_committed_tables_and_marks_are_what_the_results_say(monkeypatch):
    monkeypatch.setattr("sys.argv", ["report", "--check"])
    assert report.main() == 0


def test_check_finds_a_changed_table_and_leaves_it(monkeypatch, tmp_path, capsys):
    page = tmp_path / "results.md"
    page.write_text(report.PAGE.read_text().replace("0", "1", 1))
    before = page.read_text()
    monkeypatch.setattr(report, "PACK", tmp_path)
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["report", "--check"])
    assert report.main() == 1
    assert "results.md differs" in capsys.readouterr().out
    assert page.read_text() == before


def test_writing_makes_the_check_pass(monkeypatch, tmp_path):
    results, readme = tmp_path / "results", tmp_path / "README.md"
    results.mkdir()
    for name, result in RESULTS.items():
        (results / f"{name}.json").write_text(json.dumps(result))
    readme.write_text(f"IoU {MARK.format('?')}.")
    for name, value in (("PACK", tmp_path), ("RESULTS", results), ("README", readme), ("PAGE", tmp_path / "page.md")):
        monkeypatch.setattr(report, name, value)
    for arguments, status in ((["--check"], 1), ([], 0), (["--check"], 0)):
        monkeypatch.setattr("sys.argv", ["report", *arguments])
        assert report.main() == status
    assert readme.read_text() == f"IoU {MARK.format('0.12')}."


def test_a_table_has_title_note_headings_and_intervals():
    lines = lines_of(RESULTS)
    for line in ("### Methods", "A note.", "|  | RoI IoU | success, % |", "| ours | 0.12 [0.10, 0.20] | 12 [10, 20] |"):
        assert line in lines


def test_single_figures_make_a_table_with_their_bounds():
    lines = lines_of(RESULTS)
    assert "| one pass | 0.123 [0.1, 0.2] | 1.05 | 15 |" in lines
    assert "| memory | 40 | – | – |" in lines


def test_every_file_says_where_it_comes_from():
    assert "`python -m benchmarks.quality`, 2026-01-02, 20 scenes." in lines_of(RESULTS)


def test_a_difference_is_named_where_its_interval_leaves_out_0():
    unclear = {"value": 0.1, "low": -0.1, "high": 0.3}
    assert report.differences({"roi_iou": unclear, "success": unclear}) == "neutral"
    worse = {"value": -0.05, "low": -0.08, "high": -0.02}
    assert report.differences({"roi_iou": unclear, "success": worse}) == "success, % −5"


@pytest.mark.parametrize("mark", ["quality | nobody | roi_iou", "quality | ours | nothing", "missing | ours | roi_iou"])
def test_a_mark_that_no_file_answers_is_refused(mark):
    with pytest.raises(ValueError, match="no results file answers"):
        report.filled(f"<!-- figure {mark} -->1<!-- /figure -->", RESULTS)


def test_more_than_three_marks_and_broken_ones_are_refused():
    with pytest.raises(ValueError, match="expected up to 3 marks"):
        report.filled(4 * MARK.format("0.12"), RESULTS)
    with pytest.raises(ValueError, match="expected up to 3 marks"):
        report.filled("<!-- figure quality -->0.12<!-- /figure -->", RESULTS)
