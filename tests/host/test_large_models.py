"""The templates of every other model, with small models of their classes in the place of the loaders."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.client import Client, PromptError
from demo.graphs.large_models import TEMPLATES
from demo.graphs.newer_nodes import NEWER
from demo.workflow import set_inputs, to_api

PACK = Path(__file__).resolve().parents[2]
OUTPUTS = {"CheckpointLoaderSimple": 0, "UNETLoader": 0, "DualCLIPLoader": 1, "CLIPLoader": 1, "VAELoader": 2}
STAND_INS = {
    "9 FLUX Kontext": ("FLUX.1 Kontext",),
    "10 Qwen-Image-Edit": ("Qwen-Image-Edit",),
    "11 Qwen-Image-Edit 2509, 2511": ("Qwen-Image-Edit", "Qwen-Image-Edit 2511"),
    "12 FLUX.2 dev": ("FLUX.2 dev",),
    "13 FLUX.2 Klein": ("FLUX.2 Klein",),
    "14 SDXL InstructPix2Pix, CosXL": ("SDXL InstructPix2Pix", "CosXL Edit"),
    "15 Image to image": ("SD1.5", "SDXL"),
    "16 Chroma, Z-Image, Lumina 2": ("Chroma", "Z-Image", "Lumina 2"),
    "17 Inpainting model": ("SD1.5 inpainting", "SDXL inpainting"),
    "18 OmniGen2": ("OmniGen2",),
    "19 LongCat-Image-Edit": ("LongCat",),
    "20 Mage-Flow-Edit": ("Mage-Flow",),
}
UNETS = ("SD", "CosXL")  # which look at nothing smaller than this
MEGAPIXELS, OF_UNETS = 0.02, 0.06


def template(title: str, object_info: dict) -> dict:
    workflow = json.loads((PACK / "example_workflows" / f"{title}.json").read_text())
    missing = {node["type"] for node in _nodes(workflow)} & set(NEWER) - set(object_info)
    if missing:
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")
    return to_api(workflow, object_info)


def _nodes(workflow: dict) -> list[dict]:
    inner = workflow.get("definitions", {}).get("subgraphs", [])
    return [node for graph in (workflow, *inner) for node in graph["nodes"]]


def with_small_model(prompt: dict, family: str) -> None:
    """Puts a small model with random weights in the place of the loaders."""
    outputs = {key: OUTPUTS[n["class_type"]] for key, n in prompt.items() if n["class_type"] in OUTPUTS}
    for key in outputs:
        del prompt[key]
    for node in prompt.values():
        for name, wire in node["inputs"].items():
            if isinstance(wire, list) and wire[0] in outputs:
                node["inputs"][name] = ["small", outputs[wire[0]] + wire[1]]
    prompt["small"] = {"class_type": "StandIn", "inputs": {"family": family}}
    set_inputs(prompt, "LIMECropAround", megapixels=OF_UNETS if family.startswith(UNETS) else MEGAPIXELS)
    flux2 = any(node["class_type"] == "Flux2Scheduler" for node in prompt.values())
    set_inputs(prompt, "Flux2Scheduler" if flux2 else "BasicScheduler", steps=4)
    set_inputs(prompt, "LIMEFeatureCluster", clusters=4)
    set_inputs(prompt, "LIMEAttentionRoI", threshold=1.0)  # of a random model no segment stands out
    set_inputs(prompt, "LIMEPasteBack", feather=0)


def run(server: str, prompt: dict) -> tuple[np.ndarray, np.ndarray]:
    """(the edited photograph, the mask), as the page would show them."""
    (region,) = (key for key, node in prompt.items() if node["class_type"] == "LIMEAttentionRoI")
    (result,) = (key for key, node in prompt.items() if node["class_type"] == "SaveImage")
    prompt["mask"] = {"class_type": "MaskToImage", "inputs": {"mask": [region, 0]}}
    prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["mask", 0]}}
    client = Client(server)
    try:
        outputs = client.run(prompt).outputs
    except PromptError as error:
        if "this ComfyUI has no" in str(error):
            pytest.skip(str(error))
        raise
    edited, mask = (np.asarray(client.picture(outputs[key]["images"][0]), float) for key in (result, "shown"))
    return edited, mask


def test_every_template_has_a_stand_in():
    assert set(STAND_INS) == set(TEMPLATES)


@pytest.mark.parametrize(("title", "family"), [(title, name) for title, names in STAND_INS.items() for name in names])
def test_outside_the_mask_the_result_is_the_photograph(server, object_info, title, family):
    prompt = template(title, object_info)
    with_small_model(prompt, family)
    edited, mask = run(server, prompt)
    with Image.open(PACK / "demo" / "photograph" / "coffee.jpg") as file:
        photograph = np.asarray(file.convert("RGB"), float)
    inside = mask[..., 0] > 0
    assert edited.shape == mask.shape == photograph.shape
    assert 0 < inside.mean() < 1
    assert (edited[~inside] == photograph[~inside]).all()
    assert np.abs(edited[inside] - photograph[inside]).mean() > 10


def test_pictures_that_are_not_wired_are_left_out_and_others_are_seen(server, object_info):
    prompts = [template("11 Qwen-Image-Edit 2509, 2511", object_info) for _ in range(2)]
    (photograph,) = (key for key, node in prompts[1].items() if node["class_type"] == "LIMEExamplePhotograph")
    for prompt, more in zip(prompts, ({}, {"image2": [photograph, 0], "image3": [photograph, 0]}), strict=True):
        with_small_model(prompt, "Qwen-Image-Edit")
        for node in (node for node in prompt.values() if node["class_type"] == "TextEncodeQwenImageEditPlus"):
            assert not {"image2", "image3"} & set(node["inputs"])
            del node["inputs"]["vae"]  # reference latents of a megapixel each: test_families.py has smaller ones
            node["inputs"] |= more
    (one, _), (three, _) = (run(server, prompt) for prompt in prompts)
    assert (one != three).any()


def test_nodes_of_newer_hosts_are_described_as_they_are(object_info):
    for name in NEWER.keys() & object_info.keys():
        said, known = object_info[name], NEWER[name]
        assert (said["output"], said["output_name"]) == (known["output"], known["output_name"])
        for group, inputs in known["input"].items():
            names = [spelled.split(".")[0] for spelled in inputs]  # of a list that grows
            assert names == list(said["input"][group])
