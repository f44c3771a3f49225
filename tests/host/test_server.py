"""The pack in a running ComfyUI: sockets, workflows, cache, interruption, repeatability."""

import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_cdt

from demo.client import Client, PromptError
from demo.graphs.demo import demo_workflow
from demo.graphs.edits import INSTRUCT_PIX2PIX
from demo.graphs.files import files
from demo.graphs.thumbnails import SHOWN, in_miniature
from demo.host import comfyui_path
from demo.workflow import to_api
from lime_ops import RECOMMENDED

PACK = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((PACK / "example_workflows").glob("*.json"))

FOLDERS = {
    "CheckpointLoaderSimple": "checkpoints",
    "UNETLoader": "diffusion_models",
    "CLIPLoader": "text_encoders",
    "DualCLIPLoader": "text_encoders",
    "VAELoader": "vae",
}
SOCKETS = {
    "LIMEInstruction": (["clip", "text", "setting", "conditioning"], ["CONDITIONING", "LIME_INSTRUCTION"]),
    "LIMEWords": (["instruction", "focus", "ignore"], ["LIME_TOKENS"]),
    "LIMEProbe": (
        ["guider", "noise", "sampler", "sigmas", "latent_image", "instruction", "steps", "record", "image", "source"],
        ["LIME_CAPTURE", "LATENT", "SIGMAS"],
    ),
    "LIMEFeatureCluster": (["capture", "clusters", "seed"], ["LIME_SEGMENTS", "IMAGE"]),
    "LIMEAttentionRoI": (["capture", "segments", "tokens", "threshold", "top_k"], ["MASK", "IMAGE"]),
    "LIMEAttnRegularizeModel": (
        ["model", "mask", "tokens", "strength", "start_percent", "end_percent", "branches"],
        ["MODEL"],
    ),
    "LIMEKeepOutside": (["model", "mask", "latent"], ["MODEL"]),
    "LIMECropAround": (
        ["image", "mask", "context", "megapixels", "multiple"],
        ["IMAGE", "MASK", "LIME_CROP"],
    ),
    "LIMEPasteBack": (["image", "edited", "mask", "crop", "feather", "align", "match_colours"], ["IMAGE"]),
    "LIMEDemoModel": ([], ["MODEL", "CLIP", "VAE"]),
    "LIMEDemoScene": (["seed"], ["IMAGE", "STRING", "IMAGE", "MASK"]),
    "LIMEExamplePhotograph": ([], ["IMAGE", "STRING", "MASK"]),
}


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture
def demo(object_info):
    return to_api(demo_workflow(object_info), object_info)


def node_id(prompt, class_type):
    return next(key for key, node in prompt.items() if node["class_type"] == class_type)


def titled(prompt, title):
    return next(key for key, node in prompt.items() if node["_meta"]["title"] == title)


def pixels(client, result, prompt, title):
    return client.picture(result.outputs[titled(prompt, title)]["images"][0]).tobytes()


def fresh(prompt, seed):
    """The prompt with another noise, so that nothing that samples comes from the cache."""
    prompt = json.loads(json.dumps(prompt))
    prompt[node_id(prompt, "RandomNoise")]["inputs"]["noise_seed"] = seed
    return prompt


@pytest.mark.parametrize("node", SOCKETS)
def test_nodes_have_the_sockets_that_users_wire(object_info, node):
    info = object_info[node]
    inputs, outputs = SOCKETS[node]
    assert [*info["input"].get("required", {}), *info["input"].get("optional", {})] == inputs
    assert info["output"] == outputs
    assert info["description"]


@pytest.mark.parametrize("node", SOCKETS)
def test_every_input_and_output_has_a_tooltip_and_inputs_stand_in_the_help_page(object_info, node):
    info = object_info[node]
    groups = info["input"].values()
    specs = {name: spec for group in groups if isinstance(group, dict) for name, spec in group.items()}
    assert all(spec[1].get("tooltip") for spec in specs.values()), specs
    assert all(info["output_tooltips"])
    page = (PACK / "web" / "docs" / f"{node}.md").read_text()
    assert page.startswith(f"# {info['display_name'].split(' (')[0]}\n")  # in brackets: words for the search
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ")]
    explained = {name.strip() for row in rows for name in row.removeprefix("| ").split(",")}
    assert set(specs) <= explained


def test_every_node_is_in_the_table_of_sockets(object_info):
    assert {name for name in object_info if name.startswith("LIME")} == set(SOCKETS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_every_workflow_has_a_thumbnail_and_a_note(path):
    workflow = json.loads(path.read_text())
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert min(thumbnail.size) >= 256
    assert any(n["type"] == "MarkdownNote" for n in workflow["nodes"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_at_fit_view_every_text_is_drawn(path):
    nodes = json.loads(path.read_text())["nodes"]
    width, height = (max(n["pos"][i] + n["size"][i] for n in nodes) for i in (0, 1))
    view = 0.75 * min(1900 / width, 1000 / (height + 30))  # in a window of 1920 x 1080; above the first row: its titles
    assert view > 8 / 14 + 0.02, "smaller, and the classic canvas leaves the texts of its nodes out"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_every_checkpoint_names_its_download(path):
    loaders = [n for n in json.loads(path.read_text())["nodes"] if n["type"] in FOLDERS]
    for node in loaders:
        models = node["properties"]["models"]
        assert node["widgets_values"][: len(models)] == [model["name"] for model in models]
        for model in models:
            assert model["url"].startswith("https://") and model["url"].endswith(f"/{model['name']}")
            assert model["directory"] == FOLDERS[node["type"]]
    assert loaders or path.stem.startswith("1 ")


@pytest.mark.parametrize("path", [p for p in WORKFLOWS if p.stem in SHOWN], ids=lambda p: p.stem)
def test_every_workflow_changes_its_region_and_nothing_else(client, object_info, path):
    prompt = to_api(json.loads(path.read_text()), object_info)
    in_miniature(prompt, seed=11)
    pasted = what_pastes(prompt)
    given = prompt[pasted]["inputs"]
    show(prompt, "pasted", [pasted, 0])
    show(prompt, "source", given["image"])
    prompt["mask"] = {"class_type": "MaskToImage", "inputs": {"mask": given["mask"]}, "_meta": {"title": "Mask"}}
    show(prompt, "region", ["mask", 0])
    outputs = client.run(prompt).outputs

    def pictures(key):
        return np.stack([np.asarray(client.picture(image)) for image in outputs[key]["images"]])

    saved, edit = pictures(titled(prompt, "LIME edit")), pictures("pasted")
    scale = 8 if path.stem.startswith("1 ") else 1
    assert np.array_equal(saved, edit.repeat(scale, 1).repeat(scale, 2))
    assert edit.shape == ((4 if path.stem == "7 A batch" else 1), 64, 64, 3)  # the source's own
    changed = (edit != pictures("source")).any(-1)
    region = pictures("region")[..., 0] > 127
    finer = region.shape[1] // 64  # a mask may have the size that was sampled
    inside = np.broadcast_to(region.reshape(-1, 64, finer, 64, finer).any((2, 4)), changed.shape)
    away = np.stack([distance_transform_cdt(~region, "chessboard") for region in inside])  # the feather is a square's
    far = away > given.get("feather", RECOMMENDED.feather)
    assert inside.any() and far.any()
    assert not changed[far].any()
    assert changed[inside].mean() > 0.5


def what_pastes(prompt):
    """The node whose picture is saved, up to a scaling."""
    key = titled(prompt, "LIME edit")
    while prompt[key]["class_type"] != "LIMEPasteBack":
        inputs = prompt[key]["inputs"]
        key = inputs.get("images", inputs.get("image"))[0]
    return key


def show(prompt, key, picture):
    prompt[key] = {"class_type": "PreviewImage", "inputs": {"images": picture}, "_meta": {"title": key}}


@pytest.mark.skipif(comfyui_path().name != "_comfyui", reason="files are written with the oldest host")
def test_blueprints_and_templates_hold_what_is_described(object_info):
    described = files(object_info)
    shipped = {
        path.relative_to(PACK).as_posix()
        for name in ("subgraphs", "example_workflows")
        for path in (PACK / name).glob("*.json")
    }
    assert shipped == set(described)
    for path, text in described.items():
        assert (PACK / path).read_text() == text, f"{path}: write it with `python -m demo.graphs`"


def test_a_blueprint_that_is_taken_apart_keeps_its_settings():
    saved = json.loads((PACK / "subgraphs" / "LIME Edit (InstructPix2Pix).json").read_text())
    inner = {node["title"]: node["widgets_values"] for node in saved["definitions"]["subgraphs"][0]["nodes"]}
    assert INSTRUCT_PIX2PIX.steps in inner["Schedule"]
    assert (
        INSTRUCT_PIX2PIX.text_guidance in inner["Guidance"]
        and INSTRUCT_PIX2PIX.text_guidance in inner["Guidance with region"]
    )


def test_a_blueprint_gives_the_pixels_of_the_wired_graph(client, object_info):
    def edited(title):
        path = PACK / "example_workflows" / f"{title}.json"
        prompt = to_api(json.loads(path.read_text()), object_info)
        in_miniature(prompt, seed=34)
        client.post("/free", {"free_memory": True})
        return pixels(client, client.run(prompt), prompt, "LIME edit")

    assert edited("2 Edit your photo") == edited("4 Step by step")


STAGES = [
    "LIMEInstruction",
    "LIMEProbe",
    "LIMEFeatureCluster",
    "LIMEAttentionRoI",
    "LIMEAttnRegularizeModel",
    "LIMEPasteBack",
]  # the columns of the table in docs/hosts.md; sampling comes with the regularised model


@pytest.mark.parametrize(
    ("class_type", "inputs", "stages"),
    [
        ("LIMEInstruction", {"text": "paint the orange square yellow"}, "111111"),
        ("RandomNoise", {"noise_seed": 8}, "011111"),
        ("LIMEFeatureCluster", {"clusters": 5}, "001111"),
        ("LIMEFeatureCluster", {"seed": 1}, "001111"),
        ("LIMEWords", {"focus": "the"}, "000111"),  # is in every instruction of the scenes
        ("LIMEWords", {"ignore": "paint"}, "000111"),
        ("LIMEAttentionRoI", {"threshold": 0.5}, "000111"),
        ("LIMEAttnRegularizeModel", {"strength": 0.5}, "000011"),
        ("LIMEPasteBack", {"feather": 3}, "000001"),
    ],
)
def test_a_change_runs_what_the_table_in_docs_says(client, demo, class_type, inputs, stages):
    client.run(demo)
    demo[node_id(demo, class_type)]["inputs"].update(inputs)
    ran = {demo[key]["class_type"] for key in client.run(demo).executed if key}
    assert "".join(str(int(stage in ran)) for stage in STAGES) == stages
    assert ("SamplerCustomAdvanced" in ran) == ("LIMEAttnRegularizeModel" in ran)


def test_through_the_api_only_what_has_no_default_is_required(object_info):
    for name, info in object_info.items():
        if name.startswith("LIME"):
            required = info["input"].get("required", {}).values()
            assert not [spec for spec in required if "default" in spec[1]], name


def test_equal_seeds_give_identical_results(client, demo):
    first = pixels(client, client.run(fresh(demo, 1)), demo, "LIME edit")
    other = pixels(client, client.run(fresh(demo, 2)), demo, "LIME edit")
    client.post("/free", {"unload_models": True, "free_memory": True})
    again = pixels(client, client.run(fresh(demo, 1)), demo, "LIME edit")
    assert first == again != other


def test_a_plain_run_after_a_patched_one_is_identical_to_one_before(client, demo):
    plain = only(demo, "Plain edit")
    before = pixels(client, client.run(fresh(plain, 3)), plain, "Plain edit")
    client.run(fresh(demo, 4))
    client.post("/free", {"free_memory": True})
    assert pixels(client, client.run(fresh(plain, 3)), plain, "Plain edit") == before


def only(prompt, title):
    """The part of a prompt that the node of that title needs."""
    wanted, left = set(), [titled(prompt, title)]
    while left:
        key = left.pop()
        wanted.add(key)
        left += [v[0] for v in prompt[key]["inputs"].values() if isinstance(v, list)]
    return {key: node for key, node in prompt.items() if key in wanted}


def test_interrupting_a_probe_leaves_the_next_run_correct(client, server, demo):
    wanted = pixels(client, client.run(fresh(demo, 5)), demo, "LIME edit")
    client.post("/free", {"free_memory": True})
    slow = fresh(only(demo, "LIME edit"), 6)
    slow[node_id(slow, "BasicScheduler")]["inputs"]["steps"] = 1000
    slow[node_id(slow, "LIMEProbe")]["inputs"]["steps"] = 900
    probing = threading.Event()
    watcher = Client(server, lambda node, step, steps: probing.set() if node == node_id(slow, "LIMEProbe") else None)
    failure = []

    def run():
        with pytest.raises(PromptError, match="interrupted"):
            watcher.run(slow)
        failure.append("interrupted")

    thread = threading.Thread(target=run)
    thread.start()
    assert probing.wait(120)
    client.post("/interrupt")
    thread.join(60)
    assert failure == ["interrupted"]
    assert pixels(client, client.run(fresh(demo, 5)), demo, "LIME edit") == wanted


@pytest.mark.parametrize(
    ("class_type", "inputs", "message"),
    [
        ("LIMEInstruction", {"text": "  "}, "text is empty: expected an instruction"),
        ("LIMEWords", {"focus": "zebra"}, "'zebra' is not in the instruction. Its words are:"),
        ("LIMEProbe", {"steps": 999}, "steps is 999 but the schedule has"),
        ("LIMEAttnRegularizeModel", {"start_percent": 0.5, "end_percent": 0.2}, "expected 0 <= start_percent <"),
    ],
)
def test_bad_values_are_clear_errors(client, demo, class_type, inputs, message):
    demo[node_id(demo, class_type)]["inputs"].update(inputs)
    with pytest.raises(PromptError) as error:
        client.run(demo)
    assert message in str(error.value)


def test_the_lines_in_docs_edit_by_curl(client, demo, by_curl, tmp_path):
    demo = fresh(demo, 9)
    ran = by_curl(demo)
    assert ran.returncode == 0, ran.stderr
    with Image.open(tmp_path / "edit.png") as fetched:
        assert fetched.convert("RGB").tobytes() == pixels(client, client.run(demo), demo, "LIME edit")


@pytest.mark.parametrize(
    ("class_type", "inputs", "message"),
    [
        ("LIMEWords", {"focus": "zebra"}, "failed: .*'zebra' is not in the instruction"),
        ("LIMEAttentionRoI", {"threshold": 7}, "refused: .*threshold"),
    ],
)
def test_the_lines_in_docs_say_what_went_wrong(demo, by_curl, class_type, inputs, message):
    demo[node_id(demo, class_type)]["inputs"].update(inputs)
    ran = by_curl(demo)
    assert ran.returncode == 1
    assert re.search(message, ran.stderr, re.DOTALL), ran.stderr
