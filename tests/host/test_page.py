"""A person's first minute, in the real web page in Chromium: pick the demo workflow, press Run, see the pictures."""

import json
import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TEMPLATES = sorted((Path(__file__).parents[2] / "example_workflows").glob("*.json"))
TRY = "1 Try LIME (no download)"
SHOWN = ["LIMEDemoScene", "SaveImage"]
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
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


@pytest.fixture
def page(browser, server):
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    context.request.post(f"{server}/free", data={"free_memory": True})  # what comes from the cache is not shown again
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.goto(server)
    page.wait_for_function("window.app?.graph !== undefined")
    yield page
    context.close()


def open_template(page, name):
    """Picks one of the pack's workflows in the template browser, which opens by itself on a new user's first visit."""
    content = page.get_by_test_id("template-workflows-content")
    try:
        content.wait_for(timeout=10_000)
    except Exception:
        page.get_by_role("button", name="Templates").click()
        content.wait_for()
    page.get_by_text("comfyui-lime", exact=True).first.click()
    page.get_by_test_id(f"template-workflow-{name}").click()
    page.wait_for_function("app.graph.nodes.some(node => node.type === 'SaveImage')")


def run(page):
    """Presses Run and waits until every node that shows something has shown it."""
    page.get_by_test_id("queue-button").or_(page.get_by_role("button", name="Run", exact=True)).first.click()
    page.wait_for_function(
        "shown => app.graph.nodes.every(node => !shown.includes(node.type) || app.nodeOutputs[node.id])", arg=SHOWN
    )


def pictures_on(page, title):
    """How many loaded pictures the node of that title shows."""
    script = "title => (app.graph.nodes.find(n => n.title === title).imgs ?? []).filter(i => i.naturalWidth > 0).length"
    page.wait_for_function(f"title => ({script})(title) > 0", arg=title)
    return page.evaluate(script, title)


def test_first_minute(page):
    open_template(page, TRY)
    run(page)
    assert pictures_on(page, "Scene") == pictures_on(page, "LIME edit") == 1
    assert page.locator(".p-toast-message-error, .p-toast-message-warn").count() == 0
    if target := os.environ.get("LIME_SCREENSHOT"):
        page.wait_for_timeout(1000)
        page.screenshot(path=target)


def test_blueprints_are_served(page, server):
    entries = page.request.get(f"{server}/global_subgraphs").json().values()
    assert {"LIME Edit (InstructPix2Pix)", "LIME Find Region"} <= {entry["name"] for entry in entries}


@pytest.mark.parametrize(
    ("node", "name"),
    [("LIMEWords", "chosen words"), ("LIMEPasteBack", "what was done"), ("LIMEDemoModel", "hint")],
)
def test_a_node_shows_what_it_has_to_say_and_sends_nothing_of_it(page, node, name):
    box = """([type, name]) => {
        const node = LiteGraph.createNode(type);
        app.graph.add(node);
        const {element} = node.widgets.find(w => w.name === name);
        const before = [element.placeholder.length > 0, element.readOnly];
        node.onExecuted({text: ["orange · square"]});
        return [...before, node.widgets.find(w => w.name === name).value];
    }"""
    assert page.evaluate(box, [node, name]) == [True, True, "orange · square"]
    sent = page.evaluate(
        "type => app.graphToPrompt().then(p => Object.values(p.output).find(n => n.class_type === type))", node
    )
    assert name not in sent["inputs"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_nothing_overlaps(page, template):
    page.evaluate("w => app.loadGraphData(w, true, true)", json.loads(template.read_text()))
    page.wait_for_timeout(500)
    boxes = page.evaluate("app.graph.nodes.map(n => [n.title, n.pos[0], n.pos[1] - 30, n.size[0], n.size[1] + 30])")
    for i, (a, x, y, width, height) in enumerate(boxes):
        for b, left, top, wide, high in boxes[i + 1 :]:
            assert x >= left + wide or left >= x + width or y >= top + high or top >= y + height, (a, b)


def test_a_blueprints_optional_picture_is_not_sent_while_nothing_is_wired_into_it(page):
    (template,) = (path for path in TEMPLATES if path.stem.startswith("11 "))
    page.evaluate("w => app.loadGraphData(w, true, true)", json.loads(template.read_text()))
    sent = page.evaluate("app.graphToPrompt().then(p => Object.values(p.output))")
    encoders = [node["inputs"] for node in sent if node["class_type"] == "TextEncodeQwenImageEditPlus"]
    assert len(encoders) == 2 and all("image1" in given and "image2" not in given for given in encoders)


def test_the_help_page_opens_from_the_node(page, server):
    for node in ("LIMEInstruction", "LIMEWords", "LIMEProbe", "LIMEAttentionRoI", "LIMEKeepOutside"):
        response = page.request.get(f"{server}/extensions/comfyui-lime/docs/{node}.md")
        assert response.ok and response.text().startswith("# LIME")


def test_a_missing_checkpoint_is_offered_for_download(page):
    content = page.get_by_test_id("template-workflows-content")
    open_template(page, "2 Edit your photo")
    content.wait_for(state="hidden")
    page.get_by_text("instruct-pix2pix-00-22000.safetensors").first.wait_for()
