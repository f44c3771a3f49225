"""`python -m demo`: what it refuses, each with one sentence and exit status 2, before anything starts."""

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from demo.__main__ import main
from demo.results import sheet

FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("demo.__main__.run", lambda *args: pytest.fail("it started to run"))
    checkpoints = tmp_path / "models" / "checkpoints"
    checkpoints.mkdir(parents=True)
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    (tmp_path / "main.py").touch()
    Image.new("RGB", (64, 48)).save(tmp_path / "picture.png")
    (tmp_path / "text.png").write_text("not a picture")
    save_file({FIRST_LAYER: torch.zeros(4, 4, 3, 3)}, checkpoints / "sd15.safetensors")
    save_file({"weight": torch.zeros(1)}, checkpoints / "lora.safetensors")
    (checkpoints / "broken.safetensors").write_bytes(b"not weights")

    def run(image="picture.png", instruction="make it red", checkpoint="sd15.safetensors"):
        given = {"--image": image and str(tmp_path / image), "--instruction": instruction, "--checkpoint": checkpoint}
        status = main([word for option, value in given.items() if value for word in (option, value)])
        message = capsys.readouterr().err
        assert status == 2 and message.startswith("demo: ") and message.count("\n") == 1
        return message

    return run


def test_a_missing_file(refused):
    assert "there is no file" in refused(image="nowhere.png")


def test_an_unreadable_image(refused):
    assert "is not a picture that can be read" in refused(image="text.png")


def test_a_missing_checkpoint(refused):
    assert "there is no checkpoint" in refused(checkpoint="nothing.safetensors")


def test_a_checkpoint_that_is_no_instruction_editing_model(refused):
    message = refused(checkpoint="sd15.safetensors")
    assert "has 4 input channels but an instruction-editing model has 8" in message


def test_a_file_that_is_no_diffusion_model(refused):
    assert "has no Stable Diffusion UNet" in refused(checkpoint="lora.safetensors")


def test_a_broken_checkpoint(refused):
    assert "is not a checkpoint that can be read" in refused(checkpoint="broken.safetensors")


def test_a_pickled_file_that_is_no_checkpoint(refused, tmp_path):
    import pickle

    (tmp_path / "models" / "checkpoints" / "other.ckpt").write_bytes(pickle.dumps({"weights": print}))
    assert "is not a checkpoint that can be read" in refused(checkpoint="other.ckpt")


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"weights": len}, "is not a checkpoint that can be read"),
        (torch.zeros(1), "has no Stable Diffusion UNet"),
        ({"state_dict": {FIRST_LAYER: torch.zeros(4, 4, 3, 3)}}, "has 4 input channels"),
    ],
    ids=["other code", "no dictionary", "a checkpoint that does not edit"],
)
def test_a_file_that_torch_saved(refused, tmp_path, saved, message):
    torch.save(saved, tmp_path / "models" / "checkpoints" / "saved.ckpt")
    assert message in refused(checkpoint="saved.ckpt")


def test_a_picture_without_an_instruction(refused):
    assert "--instruction is missing" in refused(instruction=None)


def test_no_comfyui_of_the_users_own(refused, monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH")
    assert "set COMFYUI_PATH" in refused()


def test_a_comfyui_path_without_comfyui(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "models"))
    assert "has no main.py: set COMFYUI_PATH" in refused()


def test_the_sheet_fits_pictures_of_any_shape():
    names = ("source", "plain", "segments", "attention", "roi", "lime")
    pictures = {name: Image.new("RGB", (96, 48 * (i + 1))) for i, name in enumerate(names)}
    assert sheet(pictures, "make it red").width > 6 * 256
