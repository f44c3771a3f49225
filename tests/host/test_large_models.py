"""The templates of FLUX Kontext and Qwen-Image-Edit, with small models of their classes in the place of the loaders."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.client import Client
from demo.graphs.large_models import TEMPLATES
from demo.workflow import set_inputs, to_api

PACK = Path(__file__).resolve().parents[2]
STAND_INS = {"UNETLoader": 0, "DualCLIPLoader": 1, "CLIPLoader": 1, "VAELoader": 2}  # output of the stand-in


def with_small_model(prompt: dict, family: str) -> None:
    """Puts a small model with random weights in the place of the loaders."""
    outputs = {key: STAND_INS[n["class_type"]] for key, n in prompt.items() if n["class_type"] in STAND_INS}
    for key in outputs:
        del prompt[key]
    for node in prompt.values():
        for name, wire in node["inputs"].items():
            if isinstance(wire, list) and wire[0] in outputs:
                node["inputs"][name] = ["small", outputs[wire[0]]]
    prompt["small"] = {"class_type": "StandIn", "inputs": {"family": family}}
    set_inputs(prompt, "LIMECropAround", megapixels=0.02)
    set_inputs(prompt, "BasicScheduler", steps=4)
    set_inputs(prompt, "LIMEFeatureCluster", clusters=4)
    set_inputs(prompt, "LIMEAttentionRoI", threshold=1.0)  # of a random estimate no segment stands out


@pytest.mark.parametrize("title", TEMPLATES)
def test_outside_the_mask_the_result_is_the_photograph(server, object_info, title):
    prompt = to_api(json.loads((PACK / "example_workflows" / f"{title}.json").read_text()), object_info)
    if missing := {node["class_type"] for node in prompt.values()} - set(object_info):
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")
    with_small_model(prompt, title.split(" ", 1)[1])
    set_inputs(prompt, "LIMEPasteBack", feather=0)
    (region,) = (key for key, node in prompt.items() if node["class_type"] == "LIMEAttentionRoI")
    (result,) = (key for key, node in prompt.items() if node["class_type"] == "SaveImage")
    prompt["mask"] = {"class_type": "MaskToImage", "inputs": {"mask": [region, 0]}}
    prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["mask", 0]}}
    client = Client(server)
    outputs = client.run(prompt).outputs
    edited, mask = (np.asarray(client.picture(outputs[key]["images"][0]), float) for key in (result, "shown"))
    with Image.open(PACK / "demo" / "photograph" / "coffee.jpg") as file:
        photograph = np.asarray(file.convert("RGB"), float)
    inside = mask[..., 0] > 0
    assert edited.shape == mask.shape == photograph.shape
    assert 0 < inside.mean() < 1
    assert (edited[~inside] == photograph[~inside]).all()
    assert np.abs(edited[inside] - photograph[inside]).mean() > 10
