"""The pack in a running ComfyUI: sockets, workflows, cache, interruption, repeatability."""

import io
import json
import threading
from pathlib import Path

import pytest
from PIL import Image

from demo.client import Client, PromptError
from demo.workflow import to_api

PACK = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((PACK / "example_workflows").glob("*.json"))

SOCKETS = {
    "LIMEInstruction": (["clip", "text", "setting", "conditioning"], ["CONDITIONING", "LIME_INSTRUCTION"]),
    "LIMEWords": (["instruction", "focus", "ignore"], ["LIME_TOKENS"]),
    "LIMEProbe": (
        ["guider", "noise", "sampler", "sigmas", "latent_image", "instruction", "steps", "record", "image"],
        ["LIME_CAPTURE", "LATENT", "SIGMAS"],
    ),
    "LIMEFeatureCluster": (["capture", "clusters", "seed"], ["LIME_SEGMENTS", "IMAGE"]),
    "LIMEAttentionRoI": (["capture", "segments", "tokens", "threshold", "top_k"], ["MASK", "IMAGE"]),
    "LIMEAttnRegularizeModel": (
        ["model", "mask", "tokens", "strength", "start_percent", "end_percent", "branches"],
        ["MODEL"],
    ),
    "LIMEKeepOutside": (["model", "mask", "latent"], ["MODEL"]),
    "LIMEPasteBack": (["image", "edited", "mask", "feather"], ["IMAGE"]),
    "LIMEDemoModel": ([], ["MODEL", "CLIP", "VAE"]),
    "LIMEDemoScene": (["seed"], ["IMAGE", "STRING", "IMAGE", "MASK"]),
}


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture
def demo(object_info):
    return to_api(json.loads((PACK / "example_workflows" / "lime_demo.json").read_text()), object_info)


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
    assert page.startswith(f"# {info['display_name']}\n")
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ")]
    explained = {name.strip() for row in rows for name in row.removeprefix("| ").split(",")}
    assert set(specs) <= explained


def test_every_node_is_in_the_table_of_sockets(object_info):
    assert {name for name in object_info if name.startswith("LIME")} == set(SOCKETS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_every_workflow_has_a_thumbnail_and_notes_and_groups(path):
    workflow = json.loads(path.read_text())
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert min(thumbnail.size) >= 256
    assert workflow["groups"] and any(n["type"] == "MarkdownNote" for n in workflow["nodes"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_every_checkpoint_names_its_download(path):
    loaders = [n for n in json.loads(path.read_text())["nodes"] if n["type"] == "CheckpointLoaderSimple"]
    for node in loaders:
        (model,) = node["properties"]["models"]
        assert node["widgets_values"] == [model["name"]]
        assert model["url"].startswith("https://") and model["url"].endswith(model["name"])
        assert model["directory"] == "checkpoints"
    assert loaders or path.stem == "lime_demo"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_every_workflow_runs(client, object_info, path):
    prompt = to_api(json.loads(path.read_text()), object_info)
    stand_in(client, prompt)
    result = client.run(prompt)
    shown = result.outputs[titled(prompt, "LIME edit")]["images"]
    assert client.picture(shown[0]).size == ((256, 256) if path.stem == "lime_demo" else (102, 102))  # the source's own


def stand_in(client, prompt):
    """The demo model in the place of the checkpoint, and a demo scene in the place of the user's picture."""
    from demo.scenes import make_scene

    scene = make_scene(1, split="held_out")
    for node in prompt.values():
        if node["class_type"] == "CheckpointLoaderSimple":
            node |= {"class_type": "LIMEDemoModel", "inputs": {}}
        if node["class_type"] == "LoadImage":
            png = io.BytesIO()
            Image.fromarray((scene.source.numpy() * 255).astype("uint8")).save(png, "PNG")
            node["inputs"]["image"] = client.upload("scene.png", png.getvalue())
        if node["class_type"] == "ImageScaleToTotalPixels":
            node["inputs"]["megapixels"] = 0.01  # the least: 102 x 102 pixels
        if node["class_type"] == "LIMEInstruction" and isinstance(node["inputs"]["text"], str):
            node["inputs"]["text"] = scene.instruction


def test_changing_clusters_runs_only_what_depends_on_it(client, demo):
    client.run(demo)
    demo[node_id(demo, "LIMEFeatureCluster")]["inputs"]["clusters"] = 5
    result = client.run(demo)
    ran = {demo[key]["class_type"] for key in result.executed if key}
    assert {"LIMEFeatureCluster", "LIMEAttentionRoI", "LIMEAttnRegularizeModel", "SamplerCustomAdvanced"} <= ran
    assert not ran & {"LIMEProbe", "LIMEInstruction", "LIMEDemoModel", "LIMEDemoScene"}
    assert titled(demo, "Plain sampling") in result.cached


def test_changing_words_runs_neither_the_encoder_nor_the_probe(client, demo):
    client.run(demo)
    demo[node_id(demo, "LIMEWords")]["inputs"]["focus"] = "the"  # is in every instruction of the scenes
    result = client.run(demo)
    ran = {demo[key]["class_type"] for key in result.executed if key}
    assert {"LIMEWords", "LIMEAttentionRoI", "LIMEAttnRegularizeModel", "SamplerCustomAdvanced"} <= ran
    assert not ran & {"LIMEInstruction", "LIMEProbe", "LIMEFeatureCluster"}


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
