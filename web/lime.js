import { app } from "../../scripts/app.js";

const COLOURS = {
  LIME_INSTRUCTION: "#9ccc65",
  LIME_TOKENS: "#d4e157",
  LIME_CAPTURE: "#26a69a",
  LIME_SEGMENTS: "#66bb6a",
  LIME_CROP: "#ffb74d",
};

// Sockets and wires: the classic canvas asks its palette, which is filled anew when the theme changes; Nodes 2.0 asks CSS.
function colourSockets() {
  Object.assign(app.canvas.default_connection_color_byType, COLOURS);
  Object.assign(app.canvas.constructor.link_type_colors, COLOURS);
  app.canvas.setDirty(true, true);
}

function styleSockets() {
  const style = document.createElement("style");
  const lines = Object.entries(COLOURS).map(([type, colour]) => `--color-datatype-${type}: ${colour};`);
  style.textContent = `:root { ${lines.join(" ")} }`;
  document.head.append(style);
}

const HINT = "Knows drawn shapes only. Photographs need an InstructPix2Pix checkpoint.";

// Read-only boxes: [name, what stands faintly in it before a run, what stands in it]. A run fills them with what the
// node says of it. In place of the faint text Nodes 2.0 shows the name.
const BOXES = {
  LIMEWords: ["chosen words", "the chosen words appear here after a run"],
  LIMEPasteBack: ["what was done", "shift, scale and tint that were undone appear here after a run"],
  LIMEDemoModel: ["hint", HINT, HINT],
};

function addBox(node, name, placeholder, text = "") {
  // The page's own kind of box: what another holds, Nodes 2.0 does not show once it changes.
  const { widget } = app.widgets.STRING(node, name, ["STRING", { multiline: true, default: text, placeholder }], app);
  widget.element.readOnly = true;
  widget.options.read_only = true; // for Nodes 2.0, which draws a box of its own
  widget.options.serialize = false; // not sent with the prompt
  widget.serialize = false; // nor saved with the workflow
  widget.options.getMinHeight = () => 60;
  node.setSize([Math.max(node.size[0], 300), node.size[1]]); // else a sentence is cut off
  const onExecuted = node.onExecuted;
  node.onExecuted = function (output) {
    onExecuted?.apply(this, arguments);
    if (output?.text) widget.value = output.text.join("\n");
  };
}

app.registerExtension({
  name: "lime.page",
  setup() {
    styleSockets();
    colourSockets();
    app.ui.settings.addEventListener("Comfy.ColorPalette.change", () => setTimeout(colourSockets));
  },
  nodeCreated(node) {
    const box = BOXES[node.comfyClass];
    if (box) addBox(node, ...box);
  },
});
