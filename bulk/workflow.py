"""Workflow files as prompts that can be filled in: a picture, an instruction and a seed go in, an edit comes out."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from demo.host import PACK
from demo.workflow import set_inputs, to_api
from lime_ops import PUBLISHED

TEMPLATES = PACK / "example_workflows"
EXAMPLES = ("LIMEDemoScene", "LIMEExamplePhotograph")  # stand where a template's user puts a LoadImage
PICTURE, INSTRUCTION, SAVE = "LoadImage", "LIMEInstruction", "SaveImage"
REGULARIZE, KEEP_OUTSIDE, PASTE = "LIMEAttnRegularizeModel", "LIMEKeepOutside", "LIMEPasteBack"
SEEDS = (("RandomNoise", "noise_seed"), ("KSampler", "seed"), ("KSamplerAdvanced", "noise_seed"))
FILLED = ((PICTURE, "image"), (INSTRUCTION, "text"), (SAVE, "filename_prefix"), *SEEDS)
MASK, MASK_PICTURE = "bulk_mask", "bulk_mask_picture"  # ids of the nodes that bring the mask out
Prompt = dict[str, dict[str, Any]]


def read_workflow(name: str) -> dict:
    """A workflow file, or one of the pack's templates by its number, as JSON. Raises ValueError when it is neither."""
    path = next(TEMPLATES.glob(f"{name} *.json"), Path(name)) if name.isdecimal() else Path(name)
    if not path.is_file():
        known = "; ".join(sorted(template.stem for template in TEMPLATES.glob("*.json")))
        raise ValueError(f"there is no workflow {name}: expected a file, or the number of a template ({known})")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no workflow ({error})") from None


def prepare(workflow: dict, object_info: dict, method: str = "") -> Prompt:
    """The prompt of a workflow, saved by the page or in API format, with what edits do not need left out.

    The workflow has one LoadImage (or one of EXAMPLES, which a LoadImage takes the place of), one LIMEInstruction (or a
    node titled "Instruction" with an input `text` or `prompt`), a node with a seed, and one SaveImage. method: "plain"
    or "published" changes it to that way of editing; any other name leaves it. Raises ValueError.
    """
    prompt = to_api(workflow, object_info) if "nodes" in workflow else deepcopy(workflow)
    for node in (node for name in EXAMPLES for node in _of(prompt, name)):
        prompt[node] |= {"class_type": PICTURE, "inputs": {}}
    if method in METHODS:
        METHODS[method](prompt)
    saved = _one(prompt, SAVE)
    outputs = [saved]
    if mask := _mask(prompt):
        prompt[MASK_PICTURE] = {"class_type": "MaskToImage", "inputs": {"mask": mask}}
        prompt[MASK] = {"class_type": SAVE, "inputs": {"images": [MASK_PICTURE, 0]}}
        outputs.append(MASK)
    prompt = {key: prompt[key] for key in _ancestors(prompt, outputs)}
    _one(prompt, PICTURE)
    _instruction(prompt)
    if not any(_of(prompt, name) for name, _ in SEEDS):
        raise ValueError(f"the workflow has no seed: expected one of {', '.join(name for name, _ in SEEDS)}")
    return prompt


def fill(prompt: Prompt, picture: str, instruction: str, seed: int, prefix: str) -> Prompt:
    """A prepared prompt for one edit. picture: a file of the host's input folder; prefix: of what is saved."""
    prompt = deepcopy(prompt)
    set_inputs(prompt, PICTURE, image=picture)
    for name, key in SEEDS:
        if _of(prompt, name):
            set_inputs(prompt, name, **{key: seed})
    node, name = _instruction(prompt)
    before = prompt[node]["inputs"].get(name)
    for other in prompt.values():  # an encoder of its own beside LIMEInstruction reads the same text
        for key, value in other["inputs"].items():
            if before and value == before:
                other["inputs"][key] = instruction
    prompt[node]["inputs"][name] = instruction
    set_inputs(prompt, SAVE, filename_prefix=f"{prefix}_edit")
    if MASK in prompt:
        prompt[MASK]["inputs"]["filename_prefix"] = f"{prefix}_mask"
    return prompt


def edit_output(prompt: Prompt) -> str:
    """Id of the node that saves the edit."""
    return next(key for key in _of(prompt, SAVE) if key != MASK)


def settings_of(prompt: Prompt) -> dict[str, Any]:
    """What is set in a prepared prompt and the same for all rows, by the nodes' titles and inputs."""
    return {
        f"{node.get('_meta', {}).get('title', node['class_type'])}: {name}": value
        for node in prompt.values()
        for name, value in node["inputs"].items()
        if not isinstance(value, list) and (node["class_type"], name) not in FILLED
    }


def _plain(prompt: Prompt) -> None:
    """The same sampling with nothing localized."""
    _bypass(prompt, REGULARIZE, "model")
    _bypass(prompt, KEEP_OUTSIDE, "model")
    _bypass(prompt, PASTE, "edited")
    for key in _of(prompt, "LIMEAttentionRoI"):
        del prompt[key]


def _published(prompt: Prompt) -> None:
    """The published method: its settings, nothing kept outside, nothing pasted back."""
    set_inputs(prompt, INSTRUCTION, setting="published")
    set_inputs(prompt, "LIMEFeatureCluster", clusters=PUBLISHED.clusters)
    set_inputs(prompt, REGULARIZE, strength=PUBLISHED.strength, branches="all")
    _bypass(prompt, KEEP_OUTSIDE, "model")
    _bypass(prompt, PASTE, "edited")


METHODS = {"plain": _plain, "published": _published}


def _bypass(prompt: Prompt, class_type: str, name: str) -> None:
    """Removes nodes of a class; what they gave first, their input of that name gives."""
    for key in _of(prompt, class_type):
        given = prompt.pop(key)["inputs"][name]
        for node in prompt.values():
            node["inputs"] = {n: given if value == [key, 0] else value for n, value in node["inputs"].items()}


def _mask(prompt: Prompt) -> list | None:
    """The link of the region: what is pasted back with, else what was found."""
    for key in _of(prompt, PASTE):
        return prompt[key]["inputs"]["mask"]
    for key in _of(prompt, "LIMEAttentionRoI"):
        return [key, 0]
    return None


def _instruction(prompt: Prompt) -> tuple[str, str]:
    """(node, input) that take the instruction."""
    titled = [k for k, node in prompt.items() if node.get("_meta", {}).get("title", "").lower() == "instruction"]
    found = _of(prompt, INSTRUCTION) or titled
    inputs = [(key, name) for key in found for name in ("text", "prompt") if name in prompt[key]["inputs"]]
    if len(inputs) != 1:
        raise ValueError(
            f"the workflow takes an instruction in {len(inputs)} places: expected one {INSTRUCTION}, or one node "
            "titled Instruction with an input `text` or `prompt`"
        )
    return inputs[0]


def _one(prompt: Prompt, class_type: str) -> str:
    found = _of(prompt, class_type)
    if len(found) != 1:
        raise ValueError(f"the workflow has {len(found)} {class_type} nodes: expected one; preview the other pictures")
    return found[0]


def _of(prompt: Prompt, class_type: str) -> list[str]:
    return [key for key, node in prompt.items() if node["class_type"] == class_type]


def _ancestors(prompt: Prompt, outputs: list[str]) -> Iterator[str]:
    """The outputs and all they need, in the prompt's order."""
    needed, open_nodes = set(outputs), list(outputs)
    while open_nodes:
        user = prompt[open_nodes.pop()]
        for name, value in user["inputs"].items():
            if isinstance(value, list) and value[0] not in prompt:
                raise ValueError(f"{user['class_type']} takes its {name} from a node that is muted: un-mute it")
            if isinstance(value, list) and value[0] not in needed:
                needed.add(value[0])
                open_nodes.append(value[0])
    return (key for key in prompt if key in needed)
