"""Ways to edit a scene: the pack's own functions at one choice of settings and steps, or what others do instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.edits import GUIDANCE, PIXELS, Guidance, SceneEdit, held_out_scene, in_miniature
from demo.evaluate import inside_distance, iou, outside_change, succeeded
from demo.host import pack_module
from demo.scenes import Scene

if TYPE_CHECKING:
    from lime_ops import Settings

ops = pack_module("lime_ops")
RECOMMENDED, PUBLISHED = ops.RECOMMENDED, ops.PUBLISHED
FOUND, TRUE, DIFFERENCE = "found", "true", "difference of predictions"


@dataclass(frozen=True)
class Method:
    """The defaults are this pack's edit in one pass."""

    find: "Settings" = RECOMMENDED  # Settings that words and region are found with
    edit: "Settings" = RECOMMENDED  # Settings that the edit is made with
    guidance: Guidance = GUIDANCE
    probe_guidance: Guidance = GUIDANCE
    region: str | None = FOUND  # None: nothing is localized
    passes: int = 1
    regularize: bool = True
    keep_outside: bool = True
    paste_back: bool = True
    noise_mask: bool = False  # the host's SetLatentNoiseMask


ONE_PASS = Method()
TWO_PASSES = Method(passes=2)
PLAIN = Method(region=None, passes=2, regularize=False, keep_outside=False, paste_back=False)
PUBLISHED_LIME = Method(
    find=PUBLISHED,
    edit=PUBLISHED,
    guidance=Guidance(2.0, 1.5),  # notebook
    probe_guidance=Guidance(5.5, 1.5),  # notebook
    passes=2,
    keep_outside=False,
    paste_back=False,
)
NOISE_MASK = Method(passes=2, regularize=False, keep_outside=False, paste_back=False, noise_mask=True)


def found_with(**choices: Any) -> Method:
    """One pass whose region is found with other choices than the recommended ones."""
    return replace(ONE_PASS, find=replace(RECOMMENDED, **choices))


def edited_with(**choices: Any) -> Method:
    """One pass that is edited with other choices than the recommended ones."""
    return replace(ONE_PASS, edit=replace(RECOMMENDED, **choices))


def changes(method: Method, reference: Method = ONE_PASS) -> list[str]:
    """What a method does otherwise than the reference, a choice each, such as "clusters = 8"."""
    changed = []
    for name in (field.name for field in fields(method)):
        value, usual = getattr(method, name), getattr(reference, name)
        if name in ("find", "edit"):
            changed += settings_changes(value, usual)
        elif value != usual:
            changed.append(f"{name} = {'/'.join(f'{v:g}' for v in value) if isinstance(value, tuple) else value}")
    return list(dict.fromkeys(changed))


def settings_changes(settings: "Settings", reference: "Settings") -> list[str]:
    """Fields of one Settings that differ from another's, such as "clusters = 8"."""
    names = [field.name for field in fields(settings)]
    return [f"{n} = {getattr(settings, n)}" for n in names if getattr(settings, n) != getattr(reference, n)]


def scaled(settings: "Settings") -> list[str]:
    """What the miniature makes of a Settings, such as "steps = 4"."""
    return settings_changes(in_miniature(settings), settings)


@torch.inference_mode()
def edit_scene(
    seed: int, methods: Mapping[str, Method], show: bool = False, scene_of: Callable[[int], Scene] = held_out_scene
) -> dict[str, dict[str, Any]]:
    """For each method what is measured of one scene; `show` adds its "picture" [H, W, 3] and "mask" [H, W], if any."""
    bench = _Bench(seed, scene_of(seed))
    return {name: bench.measure(method, show) for name, method in methods.items()}


class _Bench:
    """One scene. What several methods share is done once."""

    def __init__(self, seed: int, scene: Scene) -> None:
        self.seed, self.scene = seed, scene
        self.evaluations = 0  # of the UNet, by one branch for one picture
        self.samples: dict[Any, tuple[Tensor, int]] = {}
        self.at, self.probed, self.region = cache(self._at), cache(self._probed), cache(self._region)

    def measure(self, method: Method, show: bool) -> dict[str, Any]:
        mask = self.region(method.region, method.find, method.probe_guidance) if method.region else None
        picture, evaluations = self.sampled(method, mask)
        if method.passes == 1 or method.region in (FOUND, DIFFERENCE):
            evaluations += self.probed(method.find, method.probe_guidance)
        if method.paste_back and mask is not None:
            picture = self.at(method.edit).pasted(picture, mask)
        figures = {
            "roi_iou": None if mask is None else iou(mask[0], self.scene.region),
            "outside": outside_change(picture[0], self.scene),
            "inside": inside_distance(picture[0], self.scene),
            "success": float(succeeded(picture[0], self.scene)),
            "unets": float(evaluations),
        }
        shown = {"picture": picture[0].numpy(), "mask": None if mask is None else mask[0].numpy()}
        return figures | (shown if show else {})

    def _at(self, settings: "Settings", probe_guidance: Guidance = GUIDANCE) -> SceneEdit:
        edit = SceneEdit(self.scene, self.seed, settings, probe_guidance)
        edit.model = edit.model.clone()
        edit.model.add_wrapper_with_key("diffusion_model", "count", self._count)
        return edit

    def _count(self, executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.evaluations += x.shape[0]
        return executor(x, *args, **kwargs)

    def _probed(self, settings: "Settings", probe_guidance: Guidance) -> int:
        """Evaluations that the probe took."""
        edit, before = self.at(settings, probe_guidance), self.evaluations
        edit.probed  # noqa: B018 - sampled when first asked for
        return self.evaluations - before

    def _region(self, region: str, settings: "Settings", probe_guidance: Guidance) -> Tensor:
        """The mask to edit in, bool [1, H, W]."""
        if region == TRUE:
            return self.scene.region[None]
        if region == DIFFERENCE:
            return region_of_difference(SceneEdit(self.scene, self.seed, settings, probe_guidance))
        self.probed(settings, probe_guidance)
        return self.at(settings, probe_guidance).region

    def sampled(self, method: Method, mask: Tensor | None) -> tuple[Tensor, int]:
        """(picture [1, H, W, 3] before it is pasted back, evaluations that it took beside the probe).

        Methods that find the same mask, bit for bit, and edit alike share it.
        """
        finder, start = self.at(method.find, method.probe_guidance), None
        if method.passes == 1:
            self.probed(method.find, method.probe_guidance)
            start = finder.probed[1]["samples"]
        content = tuple(None if t is None else t.numpy().tobytes() for t in (mask, start))
        key = (replace(method, find=None, region=None, paste_back=False), content)
        if key not in self.samples:
            model = None
            if mask is not None:
                model = self.at(method.edit).localized(mask, method.regularize, method.keep_outside)
            before = self.evaluations
            if method.passes == 1:
                picture = finder.from_probe(method.guidance, model)
            else:
                picture = finder.from_start(method.guidance, model, mask if method.noise_mask else None)
            self.samples[key] = picture, self.evaluations - before
        return self.samples[key]


def region_of_difference(edit: SceneEdit) -> Tensor:
    """Where predictions with and without the instruction differ most in the probe, which this samples: bool [1, H, W].

    Their mean difference, scaled to [0, 1] and cut at one half (DiffEdit, arXiv 2210.11427; Watch Your Steps, arXiv
    2308.08947), with outlines followed as this pack's are.
    """
    differences: list[Tensor] = []

    def differ(executor: Any, *args: Any) -> list[Tensor]:
        predictions = executor(*args)  # blank, image, text
        difference = (predictions[-1] - predictions[-2]).abs().mean(1)
        differences.append(difference / difference.mean())
        return predictions

    edit.model = edit.model.clone()
    edit.model.add_wrapper_with_key("calc_cond_batch", "difference", differ)
    edit.probed  # noqa: B018 - sampled when first asked for
    size = edit.picture.shape[1:3]
    heat = F.interpolate(torch.stack(differences).mean(0)[:, None], size, mode="bilinear")[:, 0]
    region = heat - heat.amin() > 0.5 * (heat.amax() - heat.amin())
    return ops.refine_region(region, edit.picture, PIXELS, edit.settings.outline_variance)
