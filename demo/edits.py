"""Scenes edited with the demo model as a graph edits them: the host's nodes, and the functions behind this pack's."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, cached_property
from multiprocessing import get_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor

from .host import load_pack, pack_module, use_host
from .scenes import KINDS, Scene, make_scene

if TYPE_CHECKING:
    from lime_ops import Settings

STEPS = 12  # of the miniature's schedule
PIXELS, SETTINGS_PIXELS = 4, 8  # picture pixels of a latent pixel: the miniature's, and that Settings count in
FIRST_SEED = 100_000  # of the scenes that are reported; settings are chosen on scenes of smaller seeds
Result = TypeVar("Result")


class Guidance(NamedTuple):
    """Scales of DualCFGGuider. The defaults suit the demo model; sweep `guidance` of benchmarks.tune."""

    text: float = 1.2
    image: float = 1.0


GUIDANCE = Guidance()


@cache
def _loaded() -> SimpleNamespace:
    """The host's nodes, the pack's functions and the demo model, once a process."""
    load_pack()
    from .model import load_demo_model

    return with_tools(load_demo_model)


def with_tools(load: Callable[[], tuple]) -> SimpleNamespace:
    """The (model, clip, vae) that `load` gives, the host's nodes and the pack's functions."""
    load_pack()
    import comfy.samplers
    import comfy_extras.nodes_custom_sampler as custom
    import comfy_extras.nodes_edit_model as edit_model
    import comfy_extras.nodes_ip2p as ip2p

    with torch.inference_mode(False):  # weights that a later caller may use with or without it
        model, clip, vae = load()
    return SimpleNamespace(
        model=model,
        clip=clip,
        vae=vae,
        samplers=comfy.samplers,
        custom=custom,
        edit_model=edit_model,
        ip2p=ip2p,
        ops=pack_module("lime_ops"),
        text=pack_module("nodes.hooks.text_columns"),
        probe=pack_module("nodes.hooks.probe"),
        region=pack_module("nodes.region"),
        regularizer=pack_module("nodes.hooks.regularizer"),
        keeper=pack_module("nodes.hooks.keep_outside"),
    )


def in_miniature(settings: "Settings", steps: int = STEPS) -> "Settings":
    """Settings for a schedule of so many steps and a latent of 16 x 16, in which no layer is finer than 16 x 16."""
    return replace(
        settings,
        steps=settings.probe_steps(steps),
        feather=math.ceil(settings.feather * PIXELS / SETTINGS_PIXELS),
        layers_by_share=True,
    )


def held_out_scene(seed: int) -> Scene:
    """A scene that training never showed; all kinds of edit in turn."""
    return make_scene(seed, "held_out", KINDS[seed % len(KINDS)])


class SceneEdit:
    """One scene, edited at one Settings (None: RECOMMENDED) that is put into miniature here.

    seed: of the noise; steps: of the schedule. Pictures are float [1, H, W, 3] in [0, 1], masks [1, H, W].
    """

    SCHEDULER: ClassVar[str] = "normal"

    def __init__(
        self,
        scene: Scene,
        seed: int,
        settings: "Settings | None" = None,
        probe_guidance: Guidance = GUIDANCE,
        steps: int = STEPS,
    ) -> None:
        self.lime = lime = self._load()
        self.scene, self.probe_guidance = scene, probe_guidance
        self.settings = in_miniature(settings or lime.ops.RECOMMENDED, steps)
        self.model = lime.model
        self.picture = scene.source[None]
        conditioning, self.instruction = lime.text.encode_instruction(lime.clip, scene.instruction, self.settings)
        self.empty = lime.clip.encode_from_tokens_scheduled(lime.clip.tokenize(""))
        self.text, self.image, self.latent = self._with_source(conditioning)
        self.noise = lime.custom.RandomNoise.execute(seed)[0]
        self.sampler = lime.samplers.sampler_object("euler")
        sampling = self.model.get_model_object("model_sampling")
        self.sigmas = lime.samplers.calculate_sigmas(sampling, self.SCHEDULER, steps)

    def _load(self) -> SimpleNamespace:
        return _loaded()

    def _with_source(self, conditioning: list) -> tuple[list, list, dict]:
        """The instruction's conditioning and the empty text's with the picture, and the latent to start from."""
        node = self.lime.ip2p.InstructPixToPixConditioning
        return node.execute(conditioning, self.empty, self.picture, self.lime.vae).args

    def guider(self, guidance: Guidance = GUIDANCE, model: Any = None) -> Any:
        conditionings = (self.text, self.image, self.empty)
        guider = self.lime.custom.DualCFGGuider
        return guider.execute(model or self.model, *conditionings, *guidance, "regular")[0]

    def from_start(self, guidance: Guidance = GUIDANCE, model: Any = None, noise_mask: Tensor | None = None) -> Tensor:
        """The plain edit; with the model of `localized` the second of two passes.

        noise_mask: where to edit, as with the host's SetLatentNoiseMask.
        """
        latent = self.latent
        if noise_mask is not None:
            source = self.image[0][1]["concat_latent_image"]
            latent = {"samples": source, "noise_mask": noise_mask.float()}
        return self._sample(self.noise, self.guider(guidance, model), self.sigmas, latent)

    def from_probe(self, guidance: Guidance = GUIDANCE, model: Any = None) -> Tensor:
        """The edit that goes on from where the probe ended: in one pass."""
        _, noisy = self.probed
        no_noise = self.lime.custom.DisableNoise.execute()[0]
        return self._sample(no_noise, self.guider(guidance, model), self.sigmas[self.settings.steps :], noisy)

    def _sample(self, noise: Any, guider: Any, sigmas: Tensor, latent: dict) -> Tensor:
        node = self.lime.custom.SamplerCustomAdvanced
        sampled = node.execute(noise, guider, self.sampler, sigmas, latent)[0]
        return self.lime.vae.decode(sampled["samples"])

    @cached_property
    def probed(self) -> tuple[Any, dict]:
        """(what LIMEProbe recorded, the noisy LATENT)."""
        guider = self.guider(self.probe_guidance)
        graph = (guider, self.noise, self.sampler, self.sigmas, self.latent, self.picture)
        return self.lime.probe.probe(*graph, self.instruction, self.settings)

    @cached_property
    def tokens(self) -> Any:
        """What LIMEWords chooses of the instruction."""
        return self.lime.text.choose_words(self.instruction)

    @cached_property
    def region(self) -> Tensor:
        """The region that the probe finds, bool."""
        capture, _ = self.probed
        segments = self.lime.region.segment(capture, self.settings, seed=0)
        return self.lime.region.locate(capture, segments, self.tokens, self.settings)[0]

    def localized(self, mask: Tensor, regularize: bool = True, keep: bool = True) -> Any:
        """The model that edits inside the mask only."""
        model, mask = self.model, mask.float()
        if regularize:
            model = self.lime.regularizer.regularize_model(model, mask, self.tokens, self.settings)
        return self.lime.keeper.keep_outside_model(model, mask) if keep else model

    def pasted(self, edited: Tensor, mask: Tensor) -> Tensor:
        """The scene's own picture with the edit inside the mask."""
        return self.lime.ops.paste_back(self.picture, edited, mask.float(), self.settings.feather)[0]


def for_each(function: Callable[[int], Result], seeds: Iterable[int], processes: int = 2) -> list[Result]:
    """function(seed) for every seed, in order, in processes of one thread each. The function must be picklable."""
    from tqdm import tqdm

    seeds = list(seeds)
    with ProcessPoolExecutor(processes, get_context("spawn"), _start_process) as pool:
        return list(tqdm(pool.map(function, seeds), total=len(seeds), unit="scene", mininterval=5))


def _start_process() -> None:
    torch.set_num_threads(1)
    use_host()
    import comfy.utils

    comfy.utils.PROGRESS_BAR_ENABLED = False  # the host's own, one an edit
