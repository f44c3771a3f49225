"""Ways to edit a scene: the pack's own functions at one choice of settings and steps, or what others do instead."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.edits import GUIDANCE, PIXELS, Guidance, SceneEdit, held_out_scene, in_miniature
from demo.evaluate import inside_distance, iou, outside_change, succeeded
from demo.host import pack_module

ops = pack_module("lime_ops")
RECOMMENDED, PUBLISHED = ops.RECOMMENDED, ops.PUBLISHED
FOUND, TRUE, DIFFERENCE = "found", "true", "difference of predictions"


@dataclass(frozen=True)
class Method:
    """The defaults are this pack's edit in one pass."""

    settings: Any = RECOMMENDED
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
PUBLISHED_LIME = Method(  # guidance: its notebook's
    PUBLISHED, Guidance(2.0, 1.5), Guidance(5.5, 1.5), passes=2, keep_outside=False, paste_back=False
)
NOISE_MASK = Method(passes=2, regularize=False, keep_outside=False, paste_back=False, noise_mask=True)


def recommended(**choices: Any) -> Method:
    """One pass at the recommended setting with other choices."""
    return replace(ONE_PASS, settings=replace(RECOMMENDED, **choices))


def changes(method: Method, reference: Method = ONE_PASS) -> list[str]:
    """What a method does otherwise than the reference, a choice each, such as "clusters = 8"."""
    changed = []
    for name in (field.name for field in fields(method) if field.name != "settings"):
        if getattr(method, name) != getattr(reference, name):
            value = getattr(method, name)
            changed.append(f"{name} = {'/'.join(f'{v:g}' for v in value) if isinstance(value, tuple) else value}")
    return changed + settings_changes(method.settings, reference.settings)


def settings_changes(settings: Any, reference: Any) -> list[str]:
    """Fields of one Settings that differ from another's, such as "clusters = 8"."""
    names = [field.name for field in fields(settings)]
    return [f"{n} = {getattr(settings, n)}" for n in names if getattr(settings, n) != getattr(reference, n)]


def scaled(settings: Any) -> list[str]:
    """What the miniature makes of a Settings, such as "steps = 4"."""
    return settings_changes(in_miniature(settings), settings)


@torch.inference_mode()
def edit_scene(seed: int, methods: Mapping[str, Method], show: bool = False) -> dict[str, dict[str, Any]]:
    """For each method what is measured of one scene; `show` adds its picture [H, W, 3]."""
    editor = _Editor(seed)
    return {name: editor.measure(method, show) for name, method in methods.items()}


class _Editor:
    """One scene. What several methods share is sampled once."""

    def __init__(self, seed: int) -> None:
        self.seed, self.scene = seed, held_out_scene(seed)
        self.evaluations = 0  # of the UNet, by one branch for one picture
        self.at, self.probed, self.region, self.sampled = map(
            cache, (self._at, self._probed, self._region, self._sampled)
        )

    def measure(self, method: Method, show: bool) -> dict[str, Any]:
        picture, evaluations = self.sampled(replace(method, paste_back=False))
        mask = self.region(method.region, method.settings, method.probe_guidance) if method.region else None
        if method.paste_back:
            picture = self.at(method.settings, method.probe_guidance).pasted(picture, mask)
        if method.passes == 1 or method.region in (FOUND, DIFFERENCE):
            evaluations += self.probed(method.settings, method.probe_guidance)
        figures = {
            "roi_iou": None if mask is None else iou(mask[0], self.scene.region),
            "outside": outside_change(picture[0], self.scene),
            "inside": inside_distance(picture[0], self.scene),
            "success": float(succeeded(picture[0], self.scene)),
            "unets": float(evaluations),
        }
        return figures | ({"picture": picture[0].numpy()} if show else {})

    def _at(self, settings: Any, probe_guidance: Guidance) -> SceneEdit:
        edit = SceneEdit(self.scene, self.seed, settings, probe_guidance)
        edit.model = edit.model.clone()
        edit.model.add_wrapper_with_key("diffusion_model", "count", self._count)
        return edit

    def _count(self, executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.evaluations += x.shape[0]
        return executor(x, *args, **kwargs)

    def _probed(self, settings: Any, probe_guidance: Guidance) -> int:
        """Evaluations that the probe took."""
        edit, before = self.at(settings, probe_guidance), self.evaluations
        edit.probed  # noqa: B018 - sampled when first asked for
        return self.evaluations - before

    def _region(self, region: str, settings: Any, probe_guidance: Guidance) -> Tensor:
        """The mask to edit in, bool [1, H, W]."""
        if region == TRUE:
            return self.scene.region[None]
        if region == DIFFERENCE:
            return region_of_difference(SceneEdit(self.scene, self.seed, settings, probe_guidance))
        self.probed(settings, probe_guidance)
        return self.at(settings, probe_guidance).region

    def _sampled(self, method: Method) -> tuple[Tensor, int]:
        """(picture [1, H, W, 3] before it is pasted back, evaluations that it took beside the probe)."""
        edit, model, mask = self.at(method.settings, method.probe_guidance), None, None
        if method.region:
            mask = self.region(method.region, method.settings, method.probe_guidance)
            model = edit.localized(mask, method.regularize, method.keep_outside)
        if method.passes == 1:
            self.probed(method.settings, method.probe_guidance)
        before = self.evaluations
        if method.passes == 1:
            picture = edit.from_probe(method.guidance, model)
        else:
            picture = edit.from_start(method.guidance, model, mask if method.noise_mask else None)
        return picture, self.evaluations - before


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
