"""A template of one model: its loaders, a blueprint and a note on what to load. None was run with trained weights."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .blueprints import Describe
from .graph import WIDE, Graph, Output
from .model_files import File
from .templates import INSTRUCTION, OWN_PHOTOGRAPH, SEED, result

INSTRUCTED = {"text": INSTRUCTION}
BY_ESTIMATE = (
    "The region is where the model's early estimate differs from the photograph, not where it attends to the "
    "words. Is it too large? Raise **threshold**. Outside it the result has the photograph's own pixels."
)
BY_ATTENTION = (
    "The region is where the model attends to the words. Is it wrong? Name them in **focus**. Too large? Raise "
    "**threshold**. Outside it the result has the photograph's own pixels."
)


class Model(NamedTuple):
    """What a template loads, and says."""

    name: str
    blueprint: Describe
    files: tuple[File, ...]  # a checkpoint; or a diffusion model, its text encoders and its autoencoder
    encoder: str = ""  # the kind of its text encoders, as the host's loader calls it
    shift: float | None = None  # of the schedule, where the blueprint is not this model's own
    hints: tuple[str, ...] = ()  # what to type and to set
    others: tuple[str, ...] = ()  # other files for the same graph
    region: str = BY_ESTIMATE
    settings: dict[str, Any] = INSTRUCTED


def template(model: Model) -> Callable[[Graph], None]:
    def describe(graph: Graph) -> None:
        with graph.column(width=WIDE):
            graph.note(_note(model), 560 + 60 * len(model.others + model.hints))
        with graph.column():
            given: dict[str, Any] = {**_loaders(graph, model), **model.settings}
            given["image"] = graph.add("LIMEExamplePhotograph", "Example photograph", shows=290)["image"]
        with graph.column(width=WIDE):
            blueprint = model.blueprint(graph.node_info)
            edit = graph.use(blueprint, **given, seed=SEED, shows=60)
        result(graph, edit["image"])

    return describe


def _loaders(graph: Graph, model: Model) -> dict[str, Output]:
    """By name: model, clip and vae."""
    title = model.name.split(" (")[0]
    if len(model.files) == 1:
        (file,) = model.files
        checkpoint = graph.add("CheckpointLoaderSimple", title, ckpt_name=file.name, models=[file.offered])
        return {name.lower(): checkpoint[name] for name in ("MODEL", "CLIP", "VAE")}
    first, *text, last = model.files
    network = graph.add("UNETLoader", title, unet_name=first.name, models=[first.offered])["MODEL"]
    clip = _text_encoders(graph, text, model.encoder)
    vae = graph.add("VAELoader", "Autoencoder", vae_name=last.name, models=[last.offered])["VAE"]
    if model.shift is not None:
        network = graph.add("ModelSamplingAuraFlow", "Shift", model=network, shift=model.shift)["MODEL"]
    return {"model": network, "clip": clip, "vae": vae}


def _text_encoders(graph: Graph, files: list[File], kind: str) -> Output:
    offered = [file.offered for file in files]
    if len(files) == 1:
        one: dict[str, Any] = {"clip_name": files[0].name, "type": kind}
        return graph.add("CLIPLoader", "Text encoder", models=offered, **one)["CLIP"]
    two: dict[str, Any] = {"clip_name1": files[0].name, "clip_name2": files[1].name, "type": kind}
    return graph.add("DualCLIPLoader", "Text encoders", models=offered, **two)["CLIP"]


def _note(model: Model) -> str:
    parts = [
        f"## An edit with {model.name}",
        "**Not run with trained weights yet**: small models of the same kind with random weights run it in the "
        "pack's tests. So nothing is known of how well it finds a region, and the thumbnail is the photograph before "
        "any edit.",
        f"**To load, once** (the page offers to fetch them):\n\n{_list(file.link for file in model.files)}",
        *([f"**Instead**:\n\n{_list(model.others)}"] if model.others else []),
        *model.hints,
        OWN_PHOTOGRAPH,
        model.region,
    ]
    return "\n\n".join(parts)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
