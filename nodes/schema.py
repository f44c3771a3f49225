"""What several nodes' schemas need."""

from typing import TypeVar

from comfy_api.latest import io

Widget = TypeVar("Widget", bound=io.Input)


def advanced(widget: Widget) -> Widget:
    """The same input, which the page shows among a node's advanced ones. ComfyUI 0.3.75 has no argument for it."""
    widget.extra_dict["advanced"] = True
    return widget
