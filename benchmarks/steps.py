"""What the pack adds to a step of sampling, and to whole edits.

A whole step's time varies here by several hundredths, which is more than the pack's own time. So the own time is
measured in steps in which everything else costs nothing: the real model, sampled by the host's own guider and sampler
with and without the pack, where each layer other than cross-attention hands out the output that it had in a first
real step (`only_cross_attention`). What is left is cross-attention on real activations at the model's own sizes,
the host's bookkeeping and all that the pack adds, whatever hooks or wrappers it does it by. The difference between
with and without, over the seconds of a real plain step, is the cost of a step. On a GPU, where a real step hides the
launching of small kernels, this is an upper bound.
"""

import statistics
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor, nn

from .sd15 import Edit, regions
from .timing import in_turn, ratios

RUN = 4  # steps of a run: what is computed once a run is shared by at least so many
ONE = slice(0, 1)


def step_costs(edit: Edit, rounds: int, whole: int) -> dict[str, list[float]]:
    """A step with the pack over a plain one, by figure, a round each; and seconds of a plain step.

    `whole_step_6_percent` is measured by `whole` rounds of real steps: it shows the noise, and that both ways agree.
    """
    square = edit.local_model(regions(edit.side)["6_percent"])
    actions = {"plain": lambda: edit.sample(steps=ONE), "regularized": lambda: edit.sample(square, ONE)}
    edit.sample(steps=ONE)  # what only a first step does
    times = in_turn(actions, whole)
    step = statistics.median(times["plain"])
    own = own_seconds(edit, rounds)
    return {
        **{name: [1 + s / step for s in samples] for name, samples in own.items()},
        "whole_step_6_percent": ratios(times, "regularized"),
        "plain_step_seconds": times["plain"],
    }


def own_seconds(edit: Edit, rounds: int) -> dict[str, list[float]]:
    """Seconds that the pack adds to a step, by figure, a round each; below 0 where noise is larger."""
    models = {f"step_{name}": edit.local_model(mask) for name, mask in regions(edit.side).items()}
    run = slice(0, RUN)
    actions: dict[str, Callable[[], Any]] = {"plain": lambda: edit.sample(steps=run)}
    actions |= {name: lambda model=model: edit.sample(model, run) for name, model in models.items()}
    actions |= {"plain_one": lambda: edit.sample(steps=ONE), "recording_step": lambda: edit.probe(1)}
    with only_cross_attention(edit.model):
        in_turn(actions, 1)  # the first real step, and what only a first step does
        times = in_turn(actions, rounds)
    own = {name: [(a - b) / RUN for a, b in zip(times[name], times["plain"], strict=True)] for name in models}
    recording = zip(times["recording_step"], times["plain_one"], strict=True)
    return own | {"recording_step": [a - b for a, b in recording]}


def edit_costs(edit: Edit, rounds: int) -> dict[str, list[float]]:
    """Whole edits over a plain one, a round each: probe, region, regularise, keep outside, paste back."""
    times = in_turn({"plain": edit.sample, "one_pass": edit.one_pass, "two_passes": edit.two_passes}, rounds)
    return {name: ratios(times, name) for name in ("one_pass", "two_passes")}


def only_cross_attention(model: Any) -> AbstractContextManager[None]:
    """Within it, layers other than cross-attention compute only the first time, for each shape of their input."""
    return replaying(other_layers(model.get_model_object("diffusion_model")))


@contextmanager
def replaying(layers: Iterable[nn.Module]) -> Generator[None, None, None]:
    """Within it, these layers compute only the first time, for each shape of their input."""
    replayed = list(layers)
    for layer in replayed:
        layer.forward = _replay(layer.forward)
    try:
        yield
    finally:
        for layer in replayed:
            del layer.forward  # back to its class's


def other_layers(module: nn.Module) -> Iterator[nn.Module]:
    """The largest modules that neither are cross-attention nor hold any."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential | nn.ModuleList) or any(
            n.endswith("attn2") for n, _ in child.named_modules()
        ):
            yield from other_layers(child)
        elif name != "attn2":
            yield child


def _replay(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    outputs: dict[tuple, Tensor] = {}

    def replay(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if x.shape not in outputs:
            outputs[x.shape] = forward(x, *args, **kwargs)
        return outputs[x.shape]

    return replay
