"""A person's first minute, in the real web page in Chromium: pick the demo workflow, press Run, see the pictures."""

import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOWN = ["LIMEDemoScene", "LIMEWords", "LIMEFeatureCluster", "LIMEAttentionRoI", "SaveImage", "PreviewImage"]
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
    page.wait_for_function("app.graph.nodes.some(node => node.type === 'LIMEProbe')")


def run(page):
    """Presses Run and waits until every node that shows something has shown it."""
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function(
        "shown => app.graph.nodes.every(node => !shown.includes(node.type) || app.nodeOutputs[node.id])", arg=SHOWN
    )


def pictures_on(page, title):
    """How many loaded pictures the node of that title shows."""
    script = "title => (app.graph.nodes.find(n => n.title === title).imgs ?? []).filter(i => i.naturalWidth > 0).length"
    page.wait_for_function(f"title => ({script})(title) > 0", arg=title)
    return page.evaluate(script, title)


def test_first_minute(page):
    open_template(page, "lime_demo")
    run(page)
    assert pictures_on(page, "Picture") == 1
    assert pictures_on(page, "LIME Feature Cluster") == 1
    assert pictures_on(page, "LIME Attention RoI") == 2
    assert pictures_on(page, "LIME edit") == pictures_on(page, "Plain edit") == 1
    assert page.locator(".p-toast-message-error, .p-toast-message-warn").count() == 0
    if target := os.environ.get("LIME_SCREENSHOT"):
        page.wait_for_timeout(1000)
        page.screenshot(path=target)


def test_the_words_node_shows_the_chosen_words_and_sends_nothing_of_them(page):
    open_template(page, "lime_demo")
    run(page)
    words = "app.graph.nodes.find(n => n.type === 'LIMEWords').widgets.find(w => w.name === 'chosen words').value"
    page.wait_for_function(f"{words} !== ''")
    instruction = page.evaluate("app.graphToPrompt().then(p => Object.values(p.output))")
    (sent,) = [node["inputs"] for node in instruction if node["class_type"] == "LIMEWords"]
    assert "chosen words" not in sent


def test_the_help_page_opens_from_the_node(page, server):
    for node in ("LIMEInstruction", "LIMEWords", "LIMEProbe", "LIMEAttentionRoI", "LIMEKeepOutside"):
        response = page.request.get(f"{server}/extensions/comfyui-lime/docs/{node}.md")
        assert response.ok and response.text().startswith("# LIME")


def test_a_missing_checkpoint_is_offered_for_download(page):
    content = page.get_by_test_id("template-workflows-content")
    open_template(page, "lime_ip2p_one_pass")
    content.wait_for(state="hidden")
    page.get_by_text("instruct-pix2pix-00-22000.safetensors").first.wait_for()
