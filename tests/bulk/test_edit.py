"""Edits with ComfyUI in a process: the lone run, and two workers through the command."""

import io
import json

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from bulk.__main__ import main
from bulk.edit import Edit
from bulk.engine import Worker
from bulk.hosts import NoServer, Servers
from bulk.rows import make_row, read_rows
from bulk.store import Store
from bulk.workflow import MASK, edit_output, fill, prepare, read_workflow
from demo.host import use_host
from demo.server import comfyui_server
from scenes import WORKFLOW, write_scenes

SEED = 5
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def job():
    use_host()
    import folder_paths

    kinds = ("input", "output", "temp", "user")
    before = [getattr(folder_paths, f"get_{kind}_directory")() for kind in kinds]
    yield Edit(read_workflow(WORKFLOW), "", 1)
    for kind, folder in zip(kinds, before, strict=True):
        getattr(folder_paths, f"set_{kind}_directory")(folder)


@pytest.fixture(scope="module")
def lone(job, tmp_path_factory):
    """(folder of pictures, table, their results by one process after another)."""
    folder = tmp_path_factory.mktemp("scenes")
    table, scenes = write_scenes(folder, range(3))
    return folder, table, {row["key"]: job(row) for row in read_rows(folder, table, SEED)}, scenes


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_an_edit_gives_picture_mask_and_figures(lone):
    _, _, results, scenes = lone
    for (record, files), scene in zip(results.values(), scenes, strict=True):
        edited, mask = pixels(files["pictures"]), pixels(files["masks"])
        assert mask.shape == scene.region.shape
        assert record["region"] == pytest.approx(mask.mean() / 255)
        assert 0 < record["region"] < 1
        assert edited.shape == (record["height"], record["width"], 3)
        assert record["LIME Feature Cluster: clusters"] > 1
        assert record["seconds"] > 0


def test_two_workers_give_the_pixels_of_a_lone_run_and_errors_stay_in_their_rows(pool, lone, tmp_path, monkeypatch):
    folder, table, results, _ = lone
    out = tmp_path / "out"
    (folder / "bad.png").write_bytes(b"no picture")
    table.write_text(table.read_text() + "bad.png,make it red\nmissing.png,make it red\n0.png, ?!\n")
    monkeypatch.setattr("bulk.__main__.connect", lambda address, workers, threads: pool)
    arguments = ["--pictures", folder, "--instructions", table, "--workflow", WORKFLOW, "--out", out, "--seed", SEED]
    assert main(["edit", *map(str, arguments)]) == 0
    rows = {row["key"]: row for row in pyarrow.parquet.read_table(out / "table.parquet").to_pylist()}
    assert len(rows) == 6
    for key, (_, files) in results.items():
        for kind, content in files.items():
            assert np.array_equal(pixels(Store(out).path(kind, key, ".png").read_bytes()), pixels(content))
    errors = {row["picture"].rsplit("/")[-1]: row["error"] for row in rows.values() if row["error"]}
    assert "no picture that can be read" in errors["bad.png"]
    assert "No such file" in errors["missing.png"]
    assert "has no words" in errors["0.png"]


def test_a_server_gives_the_same_pixels_and_the_next_one_is_asked_where_one_does_not_answer(lone, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the server's: pixels are the same for the same number of threads
    folder, table, results, _ = lone
    row = read_rows(folder, table, SEED)[0]
    with comfyui_server() as address:
        server = Servers([UNREACHABLE, address])
        prompt = prepare(read_workflow(WORKFLOW), server.object_info())
        edit = edit_output(prompt)
        filled = fill(prompt, "a.png", row["instructions"][0], SEED, "prefix")
        shown = server.run(filled, "a.png", (folder / "0.png").read_bytes(), [edit, MASK])
    _, files = results[row["key"]]
    assert np.array_equal(np.asarray(shown[edit]), pixels(files["pictures"]))
    assert np.array_equal(np.asarray(shown[MASK].convert("L")), pixels(files["masks"]))


def test_servers_none_of_which_answers_are_named():
    with pytest.raises(NoServer, match=r"none of the servers answers: http://127.0.0.1:9"):
        Servers([UNREACHABLE]).object_info()


def test_instructions_in_turn_edit_what_the_one_before_gave(job, lone, tmp_path, monkeypatch):
    folder, _, _, scenes = lone
    larger = next(node for node in job.prompt.values() if node["class_type"] == "ImageScaleBy")
    monkeypatch.setitem(larger["inputs"], "scale_by", 1.0)
    twice = make_row("0.png", str(folder / "0.png"), [scenes[0].instruction, "make the circle black"], SEED)
    _, files = job(twice)
    _, first = job(make_row("0.png", str(folder / "0.png"), [scenes[0].instruction], SEED))
    (tmp_path / "first.png").write_bytes(first["pictures"])
    _, second = job(make_row("0.png", str(tmp_path / "first.png"), ["make the circle black"], SEED))
    assert np.array_equal(pixels(files["pictures"]), pixels(second["pictures"]))


def test_what_the_host_refuses_is_the_rows_error(job, lone, tmp_path, monkeypatch):
    folder = lone[0]
    monkeypatch.setitem(job.prompt[edit_output(job.prompt)]["inputs"], "images", ["0", 0])
    worker = Worker(tmp_path, lambda: job, [])
    worker(make_row("0.png", str(folder / "0.png"), ["make it red"], SEED))
    (record,) = Store(tmp_path).records()
    assert record["error"]


@pytest.mark.parametrize("method", ["", "plain", "published"])
def test_a_template_is_filled_in_by_the_classes_of_its_nodes(job, method):
    template = read_workflow("4")
    prompt = prepare(template, job.host.object_info(), method)
    filled = fill(prompt, "a.png", "make it red", 9, "prefix")
    inputs = {node["class_type"]: node["inputs"] for node in filled.values()}
    assert inputs["LoadImage"]["image"] == "a.png"
    assert inputs["LIMEInstruction"]["text"] == "make it red"
    assert inputs["RandomNoise"]["noise_seed"] == 9
    assert filled[edit_output(prompt)]["inputs"]["filename_prefix"] == "prefix_edit"
    assert ("LIMEKeepOutside" in inputs, "LIMEPasteBack" in inputs) == ((True, True) if not method else (False, False))
    assert ("LIMEAttnRegularizeModel" in inputs) == (method != "plain")
    if method == "published":
        assert inputs["LIMEInstruction"]["setting"] == "published"
        assert inputs["LIMEFeatureCluster"]["clusters"] == 8
        assert inputs["LIMEAttnRegularizeModel"]["strength"] == 1
        assert inputs["LIMEAttnRegularizeModel"]["branches"] == "all"


def test_a_workflow_in_api_format_is_taken_as_it_is(job):
    prompt = prepare(read_workflow(WORKFLOW), job.host.object_info())
    api = {key: node for key, node in prompt.items() if not key.startswith("bulk_")}
    assert prepare(json.loads(json.dumps(api)), {}) == prompt


def test_encoders_that_read_the_instructions_text_get_the_row_s(job):
    prompt = prepare(read_workflow("4"), job.host.object_info())
    instruction = next(key for key, node in prompt.items() if node["class_type"] == "LIMEInstruction")
    prompt["text"] = {"class_type": "PrimitiveString", "inputs": {"value": "as saved"}}
    prompt["beside"] = {"class_type": "CLIPTextEncode", "inputs": {"text": ["text", 0], "clip": ["2", 1]}}
    prompt[instruction]["inputs"]["text"] = ["text", 0]
    filled = fill(prompt, "a.png", "make it red", 9, "prefix")
    assert filled["beside"]["inputs"]["text"] == filled[instruction]["inputs"]["text"] == "make it red"


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("SaveImage", "0 SaveImage"),
        ("LoadImage", "0 LoadImage"),
        ("RandomNoise", "no seed"),
        ("LIMEInstruction", "in 0"),
    ],
)
def test_a_workflow_that_cannot_be_filled_in_is_refused(job, lacking, message):
    prompt = {k: node for k, node in prepare(read_workflow(WORKFLOW), job.host.object_info()).items() if k[0] != "b"}
    next(node for node in prompt.values() if node["class_type"] == lacking)["class_type"] = "Another"
    with pytest.raises(ValueError, match=message):
        prepare(prompt, {})


def test_a_workflow_with_a_muted_node_that_is_needed_is_refused(job):
    workflow = read_workflow("4")
    next(node for node in workflow["nodes"] if node["type"] == "VAEDecode")["mode"] = 2
    with pytest.raises(ValueError, match="LIMEPasteBack takes its edited from a node that is muted"):
        prepare(workflow, job.host.object_info())


def test_a_workflow_that_is_not_there_is_refused_with_the_names_of_those_that_are():
    with pytest.raises(ValueError, match=r"expected a file, or the number of a template .1 Try LIME"):
        read_workflow("nothing")
