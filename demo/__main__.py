"""`python -m demo`: one localized edit through a real ComfyUI server, with pictures and figures."""

import argparse
import io
import json
import os
import sys
from pathlib import Path
from pickle import UnpicklingError

from PIL import Image, UnidentifiedImageError

from .graphs.demo import Own, demo_workflow
from .workflow import to_api


class UserError(Exception):
    """Something the user gave is not usable; the message is one clear sentence."""


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        _check_host()
        picture = _user_picture(options)
        if options.checkpoint:
            _check_checkpoint(options.checkpoint)
        run(options, picture)
    except UserError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    return 0


def _check_host() -> None:
    from .host import comfyui_path

    try:
        comfyui_path()
    except FileNotFoundError as error:
        raise UserError(str(error)) from None


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for the pictures and figures")
    parser.add_argument("--seed", type=int, default=6, help="which scene to draw, for the demo model")
    own = parser.add_argument_group("your own picture, with a real InstructPix2Pix checkpoint (all three)")
    own.add_argument("--image", type=Path, help="the picture to edit")
    own.add_argument("--instruction", help="what to change, for example: make her outfit black")
    own.add_argument("--checkpoint", help="file name in the models/checkpoints folder of the ComfyUI at COMFYUI_PATH")
    return parser.parse_args(arguments)


def _user_picture(options: argparse.Namespace) -> Image.Image | None:
    """The user's picture, or None for the demo scene."""
    given = {name: getattr(options, name) for name in ("image", "instruction", "checkpoint")}
    missing = [f"--{name}" for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise UserError(f"--image, --instruction and --checkpoint belong together: {', '.join(missing)} is missing.")
    if not options.image.is_file():
        raise UserError(f"there is no file {options.image}: give --image the path of a picture.")
    try:
        return Image.open(options.image).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{options.image} is not a picture that can be read ({error}).") from None


def _check_checkpoint(name: str) -> None:
    """Raises UserError unless the checkpoint is there and its UNet takes 8 channels: noisy latent and picture."""
    if "COMFYUI_PATH" not in os.environ:
        raise UserError("--checkpoint needs your ComfyUI: set COMFYUI_PATH to the folder that holds its main.py.")
    path = Path(os.environ["COMFYUI_PATH"]) / "models" / "checkpoints" / name
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}: put an InstructPix2Pix checkpoint there.")
    channels = _input_channels(path)
    if channels != 8:
        found = f"{channels} input channels" if channels else "no Stable Diffusion UNet"
        raise UserError(
            f"{name} has {found} but an instruction-editing model has 8: use an InstructPix2Pix checkpoint."
        )


def _input_channels(path: Path) -> int | None:
    from safetensors import SafetensorError, safe_open

    key = "model.diffusion_model.input_blocks.0.0.weight"
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                return file.get_slice(key).get_shape()[1] if key in set(file.keys()) else None
        import torch

        weights = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        weights = weights.get("state_dict", weights) if isinstance(weights, dict) else {}
        return weights[key].shape[1] if key in weights else None
    except (SafetensorError, UnpicklingError, RuntimeError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]  # torch goes on for a page
        raise UserError(f"{path} is not a checkpoint that can be read ({reason}).") from None


def run(options: argparse.Namespace, picture: Image.Image | None) -> None:
    """Runs the workflow and writes pictures, sheet and result.json to options.out."""
    from tqdm import tqdm

    from .client import Client, PromptError
    from .results import measure, sheet
    from .scenes import make_scene
    from .server import comfyui_server

    scene = make_scene(options.seed, split="held_out") if picture is None else None
    print("starting ComfyUI ...", flush=True)
    with comfyui_server() as address, tqdm(unit="step") as bar:
        client = Client(address)
        own = None
        if picture is not None:
            png = io.BytesIO()
            picture.save(png, "PNG")
            uploaded = client.upload("lime_demo.png", png.getvalue())
            own = Own(uploaded, options.instruction, options.checkpoint)
        info = client.object_info()
        prompt = to_api(demo_workflow(info, options.seed, own=own), info)

        def show(node: str, step: int, steps: int) -> None:
            bar.set_description(prompt[node]["_meta"]["title"])
            bar.total, bar.n = steps, step
            bar.refresh()

        client.on_progress = show
        try:
            result = client.run(prompt)
        except PromptError as error:
            raise UserError(str(error)) from None
        titles = {node["_meta"]["title"]: key for key, node in prompt.items()}
        pictures = {name: client.picture(result.outputs[titles[title]]["images"][0]) for name, title in _SHOWN.items()}
    width, height = pictures["roi"].size  # heat map and region, side by side
    pictures["attention"] = pictures["roi"].crop((0, 0, width // 2, height))
    pictures["roi"] = pictures["roi"].crop((width // 2, 0, width, height))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, shown in pictures.items():
        shown.save(options.out / f"{name}.png")
    seconds = {way: sum(result.seconds.get(titles[title], 0.0) for title in nodes) for way, nodes in _TIMED.items()}
    figures = measure(pictures, seconds, scene)
    (options.out / "result.json").write_text(json.dumps(figures, indent=2) + "\n")
    instruction = scene.instruction if scene else options.instruction
    sheet(pictures, instruction, scene).save(options.out / "sheet.png")
    print(json.dumps(figures, indent=2))
    print(f"pictures: {options.out.resolve()}")


# Pictures by name, and the title of the node in the workflow that shows each, in the order of the sheet.
_SHOWN = {
    "source": "Source",
    "plain": "Plain edit",
    "segments": "LIME Feature Cluster",
    "attention": "LIME Attention RoI",
    "roi": "LIME Attention RoI",
    "roi_mask": "Found region",
    "lime": "LIME edit",
}
# Nodes whose time counts for each way to edit.
_TIMED = {
    "plain": ["Plain sampling"],
    "lime": [
        "LIME Probe",
        "LIME Feature Cluster",
        "LIME Attention RoI",
        "LIME Attention Regularize Model",
        "LIME Words",
        "LIME Keep Outside",
        "LIME sampling",
    ],
}


if __name__ == "__main__":
    sys.exit(main())
