import { app } from "../../scripts/app.js";
import { ComfyWidgets } from "../../scripts/widgets.js";

// LIME Words shows the words it chose in a read-only box on the node.
app.registerExtension({
  name: "lime.words",
  nodeCreated(node) {
    if (node.comfyClass !== "LIMEWords") return;
    const { widget } = ComfyWidgets.STRING(node, "chosen words", ["STRING", { multiline: true }], app);
    widget.serialize = false; // neither saved with the workflow ...
    widget.options.serialize = false; // ... nor sent with the prompt
    if (widget.inputEl) {
      widget.inputEl.readOnly = true;
      widget.inputEl.placeholder = "the chosen words appear here after a run";
    }
    const onExecuted = node.onExecuted;
    node.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      if (output?.text) widget.value = output.text.join("\n");
    };
  },
});
