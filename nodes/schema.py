"""What several nodes' schemas need."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

from comfy_api.latest import io

Widget = TypeVar("Widget", bound=io.Input)


def schema(**given: Any) -> io.Schema:
    """io.Schema without the fields that this host does not know, such as 0.33's `search_aliases` in 0.3.75."""
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(**{name: value for name, value in given.items() if name in known})


def one_of(name: str, value: str, options: Iterable[str]) -> str:
    """The value of a choice. The host does not look at what comes by wire: raises ValueError when it is no option."""
    if value not in options:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(map(repr, options))}")
    return value


def advanced(widget: Widget) -> Widget:
    """The same input, which the page shows among a node's advanced ones. ComfyUI 0.3.75 has no argument for it."""
    widget.extra_dict["advanced"] = True
    return widget
