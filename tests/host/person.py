"""What a person does in the page with mouse and keyboard, in the classic canvas and in Nodes 2.0."""

import contextlib
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Locator, Page, TimeoutError

SECONDS = 60
SCREENSHOTS = os.environ.get("LIME_SCREENSHOTS")

NODE = "app.canvas.graph.nodes.find(node => node.title === title)"
PLACE = """([x, y]) => {
    const {left, top} = app.canvas.canvas.getBoundingClientRect();
    const [right, down] = app.canvas.ds.convertOffsetToCanvas([x, y]);
    return [left + right, top + down];
}"""
SLOT = f"""([title, input, name]) => {{
    const node = {NODE}, slot = (input ? node.inputs : node.outputs).findIndex(slot => slot.name === name);
    return [`${{node.id}}-${{input ? "in" : "out"}}-${{slot}}`, [...node.getConnectionPos(input, slot)]];
}}"""
NAMED = f"{NODE}.widgets.find(widget => widget.name === name)"
WIDGET = f"""([title, name]) => {{
    const node = {NODE}, widget = {NAMED};
    return [node.pos[0] + node.size[0] / 2, node.pos[1] + widget.y + 10];
}}"""
DRAWN = f"([title, name]) => {NAMED}.last_y !== undefined"
SETTING = f"{NAMED}.value"
SETTINGS = f"title => Object.fromEntries({NODE}.widgets.map(widget => [widget.name, widget.value]))"
SELECT = "titles => app.canvas.selectItems(app.canvas.graph.nodes.filter(node => titles.includes(node.title)))"


class Person:
    """Sits before one page. Nodes are named by their titles, places are pixels of the page."""

    def __init__(self, page: Page, canvas: str) -> None:
        self.page, self.canvas, self.modern = page, canvas, canvas == "Nodes 2.0"
        self.server = page.url.rstrip("/")

    def open(self, workflow: dict) -> None:
        """Opens a workflow's file, and closes what says that its model is missing."""
        self._arrive()
        self.page.evaluate("workflow => { app.loadGraphData(workflow, true, true) }", workflow)  # it looks for models
        self.page.wait_for_timeout(1000)
        self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(500)

    def start_afresh(self) -> None:
        """An empty canvas."""
        self._arrive()
        self.command("Comfy.NewBlankWorkflow")
        self.page.wait_for_function("app.graph.nodes.length === 0")

    def _arrive(self) -> None:
        """Waits until the page stopped arranging itself, and closes what it opens with."""
        self.page.wait_for_timeout(2000)
        self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(300)

    def command(self, name: str) -> None:
        """One of the menus."""
        self.page.evaluate("name => { app.extensionManager.command.execute(name) }", name)

    def search(self, words: str, name: str, place: tuple[int, int]) -> list[str]:
        """Double-clicks there, searches, and takes the node of that name. Returns the names that were found."""
        box = self.page.get_by_role("search")
        # A page that still places the node before takes no double click.
        line = box.locator("input").first
        self._again(lambda: self.page.mouse.dblclick(*place), lambda timeout: line.wait_for(timeout=timeout))
        self.page.keyboard.type(words)
        entries = box.get_by_role("option")
        entry = entries.filter(has_text=name).first
        entry.wait_for()
        found = [text.strip() for text in entries.all_inner_texts() if text.strip()]
        # A list that is drawn anew between press and release takes no click.
        self._again(entry.click, lambda timeout: box.wait_for(state="hidden", timeout=timeout))
        self.page.mouse.move(*place)
        self.page.mouse.click(*place)  # newer pages: the node follows the mouse until then
        return found

    def _again(self, act: Callable[[], None], seen: Callable[[float], None]) -> None:
        """Acts, once more each time that nothing came of it within 5 s. seen(ms): raises TimeoutError so long."""
        for _ in range(3):
            act()
            with contextlib.suppress(TimeoutError):
                return seen(5000)
        raise AssertionError("nothing came of three tries")

    def wire(self, source: str, output: str, target: str, name: str) -> None:
        """Drags from an output to an input."""
        self.page.mouse.move(*self._slot(source, output, is_input=False))
        self.page.mouse.down()
        self.page.mouse.move(*self._slot(target, name, is_input=True), steps=8)
        self.page.mouse.up()

    def upload(self, title: str, path: Path) -> None:
        """Chooses a file in Load Image."""
        if self.modern:
            self._node(title).locator("input[type=file]").set_input_files(path)
        else:
            with self.page.expect_file_chooser() as chooser:
                self._click_widget(title, "upload")
            chooser.value.set_files(path)
        self.page.wait_for_function(f"([title, file]) => {NODE}.widgets[0].value === file", arg=[title, path.name])

    def set_text(self, title: str, name: str, text: str) -> None:
        """Types into a box."""
        if self.modern:
            self._node(title).locator("textarea").first.fill(text)
        else:
            self.page.locator(f'textarea[placeholder="{name}"]:visible').fill(text)

    def set_line(self, title: str, name: str, text: str) -> None:
        """Types into a setting of one line."""
        if self.modern:
            self._node(title).get_by_label(name, exact=True).click()
        else:
            self._click_widget(title, name)
            self.page.locator(".graphdialog .value").click()
        for key in ("Control+a", "Delete"):
            self.page.keyboard.press(key)
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(f"([title, name, text]) => String({SETTING}) === text", arg=[title, name, text])

    def settings(self, title: str) -> dict:
        return self.page.evaluate(SETTINGS, title)

    def select(self, titles: list[str]) -> None:
        self.page.evaluate(SELECT, titles)

    def run(self) -> bytes:
        """Presses Run and waits for the end. Returns the pixels of the first picture that was saved."""
        before = self._history()
        button = self.page.get_by_test_id("queue-button").or_(self.page.get_by_role("button", name="Run", exact=True))
        button.first.click()
        self._until(lambda: self._history().keys() - before.keys())
        (entry,) = (run for key, run in self._history().items() if key not in before)
        assert entry["status"]["status_str"] == "success", entry["status"]
        shown = [image for output in entry["outputs"].values() for image in output.get("images", [])]
        saved = next(image for image in shown if image["type"] == "output")
        file = self.page.request.get(f"{self.server}/view", params=saved).body()
        return Image.open(io.BytesIO(file)).convert("RGB").tobytes()

    def undo(self, title: str, name: str, value: str) -> None:
        """Steps back until a setting has its value again."""
        self.page.mouse.click(150, 950)  # a free place: the keys are for the canvas then
        has_value = f"([title, name, value]) => {SETTING} === value"
        self._again(
            self._step_back,
            lambda timeout: self.page.wait_for_function(has_value, arg=[title, name, value], timeout=timeout),
        )

    def _step_back(self) -> None:
        """Holds the keys until the page has drawn, as a person does.

        Chromium itself takes back the last letter that was typed. The page acts on keys as it draws; Control let go
        before that makes it look for changes, find that letter, and undo no more than that.
        """
        for key in ("Control", "z"):
            self.page.keyboard.down(key)
        self.page.evaluate("new Promise(requestAnimationFrame)")
        for key in ("z", "Control"):
            self.page.keyboard.up(key)

    def save(self, name: str) -> str:
        """Saves the workflow under a name. Returns the file."""
        self.page.keyboard.press("Control+s")
        self.answer(name)
        file = f"{self.server}/userdata/workflows%2F{quote(name)}.json"
        self._until(lambda: self.page.request.get(file).ok)
        return self.page.request.get(file).text()

    def reload(self) -> None:
        self.page.reload()
        self.page.wait_for_function("window.app?.graph?.nodes.length > 0")
        self.page.wait_for_timeout(1000)

    def answer(self, text: str) -> None:
        """Types into the dialogue that asks for a name."""
        line = self.page.get_by_role("dialog").locator("input").first
        line.fill(text)
        line.press("Enter")

    def export(self) -> dict:
        """Export (API)."""
        with self.page.expect_download() as download:
            self.command("Comfy.ExportWorkflowAPI")
            self.answer("edit_api")
        return json.loads(Path(download.value.path()).read_text())

    def look(self, name: str) -> None:
        if SCREENSHOTS:
            self.page.wait_for_timeout(600)
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{self.canvas}, {name}.png")

    def _until(self, done: Callable[[], object]) -> None:
        until = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < until, f"waited {SECONDS} s"
            self.page.wait_for_timeout(100)

    def _history(self) -> dict:
        return self.page.request.get(f"{self.server}/history").json()

    def _node(self, title: str) -> Locator:
        """Nodes 2.0 only: in the classic canvas a node is no element."""
        number = self.page.evaluate(f"title => {NODE}.id", title)
        return self.page.locator(f'[data-node-id="{number}"]')

    def _slot(self, title: str, name: str, *, is_input: bool) -> tuple[float, float]:
        key, place = self.page.evaluate(SLOT, [title, is_input, name])
        if not self.modern:
            return self.page.evaluate(PLACE, place)
        box = self.page.locator(f'[data-slot-key="{key}"]').first.bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def _click_widget(self, title: str, name: str) -> None:
        place = self.page.evaluate(PLACE, self.page.evaluate(WIDGET, [title, name]))
        self.page.mouse.move(*place)  # 0.33 makes widgets anew, and draws them when the mouse comes: no click before
        self.page.wait_for_function(DRAWN, arg=[title, name])
        self.page.mouse.click(*place)
