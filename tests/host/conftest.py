"""The real ComfyUI: in this process with the pack loaded as ComfyUI loads it, as a server, and its page in Chromium."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo.host import PACK, load_pack, pack_module, use_host

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
NODES_2 = "Nodes 2.0"


def load_host():
    """The host's modules and node classes by id, the pack's among them."""
    use_host()
    import comfy.samplers
    import comfy_extras.nodes_custom_sampler as custom_sampler
    import comfy_extras.nodes_ip2p as ip2p

    import nodes

    lime = SimpleNamespace(**load_pack())
    return SimpleNamespace(
        nodes=nodes,
        lime=lime,
        ops=pack_module("lime_ops"),
        sockets=pack_module("nodes.sockets"),
        samplers=comfy.samplers,
        custom=custom_sampler,
        ip2p=ip2p,
    )


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    host = load_host()
    import folder_paths

    folder_paths.set_temp_directory(str(tmp_path_factory.mktemp("temp")))
    return host


@pytest.fixture(scope="session")
def server():
    """Address of a running ComfyUI with the pack in custom_nodes, beside small models that stand in for large."""
    from demo.server import comfyui_server

    with comfyui_server(Path(__file__).with_name("stand_ins")) as address:
        yield address


@pytest.fixture(scope="session")
def object_info(server):
    from demo.client import Client

    return Client(server).object_info()


@pytest.fixture(scope="module")  # while it is there, the thread has an event loop: no other may run
def browser():
    if CHROMIUM is None:
        message = "no Chromium found: install the package chromium to run the page's tests"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(params=["classic canvas", NODES_2])
def canvas(request):
    """What draws the nodes. Without this fixture `page` is the classic canvas."""
    return request.param


@pytest.fixture
def page(browser, server, request):
    """The page of a user who has seen the templates: a new one's first page opens with them."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    context.request.post(f"{server}/free", data={"free_memory": True})  # what comes from the cache is not shown again
    modern = "canvas" in request.fixturenames and request.getfixturevalue("canvas") == NODES_2
    settings = {"Comfy.VueNodes.Enabled": modern, "Comfy.TutorialCompleted": True}
    context.request.post(f"{server}/settings", data=settings)
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.goto(server)
    page.wait_for_function("window.app?.graph !== undefined")
    yield page
    context.close()


@pytest.fixture
def by_curl(server, tmp_path):
    """Runs the lines of docs/api.md on an API prompt, in a folder of its own."""
    (lines,) = re.findall(r"```bash\n(.*?)```", (PACK / "docs" / "api.md").read_text(), re.DOTALL)
    bash = shutil.which("bash")
    if not bash or not shutil.which("curl"):
        pytest.skip("needs bash and curl")

    def run(prompt):
        (tmp_path / "edit_api.json").write_text(json.dumps(prompt, indent=2))
        environment = os.environ | {"COMFY": server}
        return subprocess.run(
            [bash, "-c", lines], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    return run
