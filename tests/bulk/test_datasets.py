"""Benchmarks in their authors' formats, a few generated rows of each."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from bulk.datasets import magicbrush, magicbrush_multi, magicbrush_region, pie_bench, pie_region

SIDE = 16


def coloured(value: int) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), (value, value, value))


def painted() -> Image.Image:
    """A mask as MagicBrush's: the picture with the region painted white."""
    mask = coloured(90)
    mask.paste((255, 255, 255), (4, 4, 8, 12))
    return mask


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def test_set(tmp_path) -> Path:
    """MagicBrush's test set: a session of two turns and one of one."""
    sessions: dict[str, list] = {"139": [], "30": []}
    captions: dict[str, dict] = {"139": {}, "30": {}}
    for session, number in (("139", 1), ("139", 2), ("30", 1)):
        folder = tmp_path / "test" / "images" / session
        folder.mkdir(parents=True, exist_ok=True)
        before = f"{session}-input.png" if number == 1 else f"{session}-output{number - 1}.png"
        names = {"input": before, "mask": f"{session}-mask{number}.png", "output": f"{session}-output{number}.png"}
        coloured(10 * number - 10).save(folder / before)
        painted().save(folder / names["mask"])
        coloured(10 * number).save(folder / names["output"])
        sessions[session].append(names | {"instruction": f"edit {number} of {session}"})
        captions[session][names["output"]] = f"after {number} of {session}"
    (tmp_path / "test" / "edit_sessions.json").write_text(json.dumps(sessions))
    (tmp_path / "test" / "local_descriptions.json").write_text(json.dumps(captions))
    return tmp_path / "test"


@pytest.fixture
def dev_set(tmp_path, test_set) -> Path:
    """The same edits as the parquet files of train and dev; the first session goes on in the second file."""
    lines = []
    for session, edits in json.loads((test_set / "edit_sessions.json").read_text()).items():
        folder = test_set / "images" / session
        for number, edit in enumerate(edits, 1):
            pictures = {
                column: {"bytes": (folder / edit[name]).read_bytes(), "path": edit[name]}
                for column, name in (("source_img", "input"), ("mask_img", "mask"), ("target_img", "output"))
            }
            lines.append({"img_id": session, "turn_index": number, "instruction": edit["instruction"], **pictures})
    data = tmp_path / "dev" / "data"
    data.mkdir(parents=True)
    pyarrow.parquet.write_table(pa.Table.from_pylist(lines[:1]), data / "dev-00000-of-00002-0a.parquet")
    pyarrow.parquet.write_table(pa.Table.from_pylist(lines[1:]), data / "dev-00001-of-00002-0b.parquet")
    return tmp_path / "dev"


def test_magicbrush_single_turn_starts_every_edit_from_the_true_picture(test_set, tmp_path):
    cases = magicbrush(test_set, tmp_path / "scratch")
    assert [case.key for case in cases] == ["139-1", "139-2", "30-1"]
    second = cases[1]
    assert Path(second.source).name == "139-output1.png"
    assert Path(second.target).name == "139-output2.png"
    assert second.instructions == ("edit 2 of 139",)
    assert second.caption == "after 2 of 139"
    region = np.asarray(Image.open(second.mask)) > 0
    assert region.sum() == 4 * 8
    assert region[4:12, 4:8].all()


def test_magicbrush_multi_turn_is_a_session_compared_with_its_last_picture(test_set, tmp_path):
    session, alone = magicbrush_multi(test_set, tmp_path / "scratch")
    assert (session.key, alone.key) == ("139", "30")
    assert session.instructions == ("edit 1 of 139", "edit 2 of 139")
    assert (Path(session.source).name, Path(session.target).name) == ("139-input.png", "139-output2.png")
    assert (session.caption, session.mask) == ("after 2 of 139", None)
    assert alone.instructions == ("edit 1 of 30",)


@pytest.mark.parametrize("read", [magicbrush, magicbrush_multi])
def test_magicbrush_s_parquet_files_hold_the_same_but_no_captions(read, test_set, dev_set, tmp_path):
    of_test, of_dev = read(test_set, tmp_path / "a"), read(dev_set, tmp_path / "b")
    assert [case.key for case in of_dev] == [case.key for case in of_test]
    for test, dev in zip(of_test, of_dev, strict=True):
        assert dev.instructions == test.instructions
        assert dev.caption is None
        for name in ("source", "target"):
            assert np.array_equal(*(np.asarray(Image.open(getattr(case, name))) for case in (test, dev)))
    assert len(read(dev_set, tmp_path / "b", 1)) == 1


def test_a_transparent_mask_is_read_by_its_transparency():
    mask = Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 4, 4))
    region = np.asarray(magicbrush_region(mask)) > 0
    assert region[:4, :4].all()
    assert region.sum() == 16


def test_pie_bench_gives_instruction_caption_and_the_region_of_its_runs(tmp_path):
    runs = [512 * 100 + 200, 5, 512 * 101 + 200, 5]
    item = {
        "image_path": "0_random_140/000000000000.jpg",
        "original_prompt": "a bicycle on the road",
        "editing_prompt": "a [rusty] bicycle on the road",
        "editing_instruction": "Make the frame of the bike rusty",
        "editing_type_id": "0",
        "blended_word": "bicycle bicycle",
        "mask": runs,
    }
    (tmp_path / "mapping_file.json").write_text(json.dumps({"000000000000": item}))
    (case,) = pie_bench(tmp_path, tmp_path / "scratch")
    assert case.source == str(tmp_path / "annotation_images" / "0_random_140" / "000000000000.jpg")
    assert case.instructions == ("Make the frame of the bike rusty",)
    assert (case.caption, case.target) == ("a rusty bicycle on the road", None)
    region = np.asarray(Image.open(case.mask)) > 0
    plain = np.zeros(512 * 512, bool)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        for pixel in range(start, start + length):
            plain[pixel] = True
    assert np.array_equal(region[1:-1, 1:-1], plain.reshape(512, 512)[1:-1, 1:-1])
    assert region[0].all() and region[-1].all() and region[:, 0].all() and region[:, -1].all()
    assert np.array_equal(region, np.asarray(pie_region(" ".join(map(str, runs)))) > 0)


@pytest.mark.parametrize(("read", "message"), [(magicbrush, "edit_sessions.json"), (pie_bench, "mapping_file.json")])
def test_a_folder_without_the_benchmark_is_refused(read, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, tmp_path / "scratch")
