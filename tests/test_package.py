"""The archive that users install: its first template runs in a bare ComfyUI, and it holds only what users need."""

import json
import zipfile

import pytest

from demo.client import Client
from demo.server import comfyui_server
from demo.workflow import to_api
from shipped import PACK, shipped_files

FIRST = "example_workflows/1 Try LIME (no download).json"
HOLDS = {
    "__init__.py", "pyproject.toml", "requirements.txt", "README.md", "CHANGELOG.md", "LICENSE",
    "demo", "example_workflows", "lime_ops", "nodes", "subgraphs", "web",
}  # fmt: skip
DEMO = {"__init__.py", "model.py", "photograph", "scenes.py", "shapes.py", "weights", "wordings.py"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The archive's files in a folder of their own, as an installer leaves them."""
    folder = tmp_path_factory.mktemp("package")
    archive = folder / "node.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in shipped_files():
            file.write(path, path.relative_to(PACK))
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder / "lime-edit")
    return folder / "lime-edit"


def test_it_holds_what_users_need_and_nothing_more(unpacked):
    assert {path.name for path in unpacked.iterdir()} == HOLDS
    assert {path.name for path in (unpacked / "demo").iterdir()} == DEMO
    pages = {path.stem for path in (unpacked / "web" / "docs").glob("*.md")}
    assert pages == {path.stem for path in (PACK / "web" / "docs").glob("*.md")} != set()
    size = sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file())
    assert size < 16e6, "13 MB when this was written, most of it the miniature's weights"


def test_its_first_template_runs_in_a_bare_comfyui(unpacked):
    with comfyui_server(pack=unpacked) as address:
        client = Client(address)
        info = client.object_info()
        prompt = to_api(json.loads((unpacked / FIRST).read_text()), info)
        outputs = client.run(prompt).outputs
        pictures = {prompt[key]["_meta"]["title"]: output.get("images") for key, output in outputs.items()}
        assert client.picture(pictures["LIME edit"][0]).size == (512, 512)
