"""What several nodes' schemas need."""

from dataclasses import fields
from typing import Any, TypeVar

from comfy_api.latest import io

Widget = TypeVar("Widget", bound=io.Input)


def schema(**given: Any) -> io.Schema:
    """io.Schema without the fields that this host does not know, such as 0.33's `search_aliases` in 0.3.75."""
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(**{name: value for name, value in given.items() if name in known})


def advanced(widget: Widget) -> Widget:
    """The same input, which the page shows among a node's advanced ones. ComfyUI 0.3.75 has no argument for it."""
    widget.extra_dict["advanced"] = True
    return widget
