"""How well regions are found and edits kept inside them, on scenes the demo model has not seen.

`python -m benchmarks.quality --out DIR` prints a table and writes quality.json, sheet.png and curves.png. All methods
see the same scenes and noise. Settings were chosen on scenes with seeds below demo.evaluate.FIRST_SEED.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demo.evaluate import (
    CLUSTERS,
    FIRST_SEED,
    IMAGE_GUIDANCE,
    PROBE_STEPS,
    STEPS,
    TEXT_GUIDANCE,
    Edits,
    inside_distance,
    iou,
    outside_change,
    succeeded,
)
from demo.scenes import KINDS, make_scene
from lime_ops import (
    average_attention,
    refine_region,
    resize_region,
    segment_features,
    select_roi,
    select_segments,
)

GRID = (128, 128)
LATENT_PIXEL = 4  # picture pixels of the demo model's latent pixel, which is its finest map's pixel too
RESAMPLES = 2000
GUIDANCES = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 7.5)
RECOMMENDED, PUBLISHED = "recommended", "published"
TRUE, ATTENTION, DIFFERENCE = "true", "attention", "difference"


@dataclass(frozen=True)
class Region:
    """How the region is found; the defaults are this pack's."""

    source: str = ATTENTION
    choice: str = RECOMMENDED  # of tokens
    clusters: int = CLUSTERS
    rule: str = RECOMMENDED
    align_corners: bool = False
    refine: bool = True
    probe_steps: int = PROBE_STEPS
    guidance: tuple[float, float] = (TEXT_GUIDANCE, IMAGE_GUIDANCE)  # text, image


@dataclass(frozen=True)
class Method:
    """How the picture is edited; the defaults are this pack's, in two passes."""

    guidance: tuple[float, float] = (TEXT_GUIDANCE, IMAGE_GUIDANCE)
    region: Region | None = Region()
    regularize: bool = True
    local: bool = True  # LIMELocalGuidance
    noise_mask: bool = False  # the host's SetLatentNoiseMask
    one_pass: bool = False
    strength: float = 0.9
    paste: bool = True  # LIMEPasteBack, with its fade of one and a half latent pixels


PLAIN = Method(region=None, regularize=False, local=False, paste=False)
PUBLISHED_REGION = Region(
    choice=PUBLISHED,
    clusters=8,
    rule=PUBLISHED,
    align_corners=True,
    refine=False,
    probe_steps=round(STEPS * 11 / 30),
    guidance=(5.5, 1.5),
)
PUBLISHED_METHOD = Method(guidance=(2.0, 1.5), region=PUBLISHED_REGION, local=False, strength=1.0, paste=False)
MASK_ONLY = Method(regularize=False, local=False, noise_mask=True, paste=False)
ONE_PASS, TWO_PASS = Method(one_pass=True), Method()
METHODS = {
    **{
        f"plain {t:g} / {i:g}": replace(PLAIN, guidance=(t, i))
        for t, i in ((1.0, 1.0), (1.2, 1.0), (1.5, 1.2), (2.0, 1.5), (3.0, 1.0), (5.5, 1.5))
    },
    "published LIME": PUBLISHED_METHOD,
    "this pack, one pass": ONE_PASS,
    "this pack, two passes": TWO_PASS,
    "without paste back": replace(ONE_PASS, paste=False),
    "without local guidance": replace(ONE_PASS, local=False),
    "only regularising": replace(ONE_PASS, local=False, paste=False),
    "without regularising": replace(ONE_PASS, regularize=False),
    "strength 1": replace(ONE_PASS, strength=1.0),
    "published tokens": replace(ONE_PASS, region=Region(choice=PUBLISHED)),
    "published rule": replace(ONE_PASS, region=Region(rule=PUBLISHED)),
    "corners aligned": replace(ONE_PASS, region=Region(align_corners=True)),
    "not refined": replace(ONE_PASS, region=Region(refine=False)),
    "8 clusters": replace(ONE_PASS, region=Region(clusters=8)),
    "true region": replace(TWO_PASS, region=Region(TRUE)),
    "true region, not pasted": replace(TWO_PASS, region=Region(TRUE), paste=False),
    "plain, pasted back": replace(TWO_PASS, regularize=False, local=False),
    "noise mask, true region": replace(MASK_ONLY, region=Region(TRUE)),
    "noise mask, found region": MASK_ONLY,
    "noise mask, difference": replace(MASK_ONLY, region=Region(DIFFERENCE)),
}
CURVES = {
    "plain": PLAIN,
    "published LIME": PUBLISHED_METHOD,
    "this pack, one pass": ONE_PASS,
    "without paste back": replace(ONE_PASS, paste=False),
    "noise mask, found region": MASK_ONLY,
}
SHOWN = ("plain 1.2 / 1", "published LIME", "this pack, one pass", "true region", "noise mask, difference")


@dataclass
class Probe:
    """What the first steps of an edit gave."""

    mask: Tensor  # bool [N, H, W]
    latent: Tensor  # noisy, after the probe
    evaluations: float


@dataclass
class Bench(Edits):
    """Many scenes, edited by any method."""

    probes: dict[Region, Probe] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        package = self.hooks.__name__.rsplit(".", 1)[0]
        self.local = sys.modules[f"{package}.local_guidance"]._Local
        self.paste = sys.modules[f"{package}.paste_back"].PasteBack.execute
        self.instruct = sys.modules[f"{package}.instruction"].Instruction.execute
        self.evaluations = 0.0
        unet = self.model.model.diffusion_model
        unet.register_forward_pre_hook(lambda module, inputs: self._count(inputs[0]))
        self.tokens = cache(self._tokens)

    def _count(self, x: Tensor) -> None:
        self.evaluations += x.shape[0] / len(self.scenes)

    def _tokens(self, choice: str) -> list[Any]:
        return [self.instruct(self.clip, s.instruction, choice=choice)[1] for s in self.scenes]

    def probe_region(self, region: Region) -> Probe:
        if region not in self.probes:
            self.probes[region] = self._probe(region)
        return self.probes[region]

    def _probe(self, region: Region) -> Probe:
        if region.source == TRUE:
            return Probe(self.region, self.noise, 0)
        before = self.evaluations
        differences: list[Tensor] = []
        recorder, latent = self.record(region, differences)
        if region.source == DIFFERENCE:
            mask = self.difference(differences) > 0.5
        else:
            columns = [list(t.columns) for t in self.tokens(region.choice)]
            heat = average_attention(list(recorder.attention()[0].maps), columns, GRID, region.align_corners)
            labels = segment_features(
                list(recorder.features()), GRID, region.clusters, align_corners=region.align_corners
            )
            mask = select_segments(labels, heat) if region.rule == RECOMMENDED else select_roi(labels, heat)
        mask = resize_region(mask, tuple(self.region.shape[1:]))
        if region.refine:
            mask = refine_region(mask, self.source, LATENT_PIXEL)
        return Probe(mask, latent, self.evaluations - before)

    def record(self, region: Region, differences: list[Tensor]) -> tuple[Any, Tensor]:
        """(recorder, noisy latents); the predictions' differences of each step are appended to `differences`."""
        model = self.model.clone()

        def differ(executor: Any, *args: Any) -> list[Tensor]:
            predictions = executor(*args)
            differences.append((predictions[-1] - predictions[-2]).abs().mean(1))  # blank, image, text
            return predictions

        model.add_wrapper_with_key("calc_cond_batch", "difference", differ)
        steps = region.probe_steps
        return self.probe(steps, *region.guidance, model=model)

    def difference(self, differences: list[Tensor]) -> Tensor:
        """Mean over steps, scaled to [0, 1] in each picture (DiffEdit, Watch Your Steps): [N, *GRID]."""
        mean = torch.stack([d / d.mean((1, 2), keepdim=True) for d in differences]).mean(0)
        heat = F.interpolate(mean[:, None], GRID, mode="bilinear")[:, 0]
        low, high = heat.amin((1, 2), keepdim=True), heat.amax((1, 2), keepdim=True)
        return (heat - low) / (high - low)

    def patched(self, method: Method, mask: Tensor) -> Any:
        """The model with the method's patches, for all scenes at once."""
        model = self.model.clone()
        if method.regularize:
            sampling = model.get_model_object("model_sampling")
            published = method.region.choice == PUBLISHED and method.region.rule == PUBLISHED
            regularizer = self.hooks.Regularizer(
                blocks=self.hooks.cross_attention_blocks(model),
                region=mask,
                unrelated=torch.stack([t.unrelated for t in self.tokens(method.region.choice)]),
                embedding=self.text,
                strength=method.strength,
                first=sampling.percent_to_sigma(0.0),
                last=sampling.percent_to_sigma(0.9),
                instruction_only=False,
                published=published and min(self.latent.shape[-2:]) > 16,  # else no layer would be regularised
            )
            model.add_wrapper_with_key("outer_sample", "lime", regularizer.outer_sample)
            model.add_wrapper_with_key("predict_noise", "lime", regularizer.predict_noise)
        if method.local:
            local = self.local(mask.float(), self.text, keep_source=True)
            model.add_wrapper_with_key("outer_sample", "local", local.outer_sample)
            model.add_wrapper_with_key("calc_cond_batch", "local", local.calc_cond_batch)
        return model

    def run(self, method: Method) -> dict[str, Any]:
        """pictures [N, H, W, 3] and, for each scene, what is measured: float arrays [N]."""
        probe = self.probe_region(method.region) if method.region else None
        mask = probe.mask if probe else torch.ones_like(self.region)
        guider = self.guider(*method.guidance, model=self.patched(method, mask))
        before = self.evaluations
        if method.one_pass:
            latent = self.sample(guider, self.sigmas[method.region.probe_steps :], probe.latent)
        else:
            latent = self.sample(guider, keep=~mask if method.noise_mask else None)
        evaluations = self.evaluations - before + (probe.evaluations if probe else 0)
        pictures = self.vae.decode(latent)
        if method.paste:
            pictures = self.paste(self.source, pictures, mask.float(), LATENT_PIXEL * 3 // 2)[0]
        found = iou(mask, self.region).numpy() if probe else np.full(len(self.scenes), np.nan)
        return {
            "pictures": pictures,
            "iou": found,
            "outside": outside_change(pictures, self).numpy(),
            "inside": inside_distance(pictures, self).numpy(),
            "success": succeeded(pictures, self).float().numpy(),
            "unet_evaluations": np.full(len(self.scenes), evaluations),
        }


def interval(values: np.ndarray) -> dict[str, float] | None:
    """Mean and bootstrap 95 % interval of values [N]. None where nothing was measured."""
    if np.isnan(values).any():
        return None
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(1), (0.025, 0.975))
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def summarise(result: dict[str, Any], kinds: np.ndarray) -> dict[str, Any]:
    """figure -> mean, low and high over all scenes, and the same of each kind of edit."""
    summary: dict[str, Any] = {}
    for name, values in result.items():
        if name == "pictures":
            continue
        summary[name] = interval(values)
        if summary[name]:
            summary[name]["kinds"] = {kind: interval(values[kinds == kind]) for kind in KINDS}
    return summary


def line(name: str, summary: dict[str, Any], kind: str | None = None) -> str:
    def shown(figure: str, scale: float = 1, digits: int = 3) -> str:
        value = summary[figure] and (summary[figure]["kinds"][kind] if kind else summary[figure])
        if value is None:
            return f"{'-':>22}"
        low, mean, high = (f"{scale * value[key]:.{digits}f}" for key in ("low", "mean", "high"))
        return f"{mean} [{low}, {high}]".rjust(22)

    return (
        f"{name:26}{shown('iou')}{shown('outside')}{shown('inside')}{shown('success', 100, 0)}"
        f"{summary['unet_evaluations']['mean']:7.0f}"
    )


HEADER = f"{'method':26}{'RoI IoU':>22}{'outside change':>22}{'inside distance':>22}{'success %':>22}{'UNets':>7}"


def draw_sheet(bench: Bench, pictures: dict[str, Tensor], path: Path, rows: int = 10) -> None:
    """Source, wanted picture and one column a method, a row a scene with its instruction."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = {"source": bench.source, "wanted": bench.wanted, **{name: pictures[name] for name in SHOWN}}
    figure, axes = plt.subplots(rows, len(columns), figsize=(1.5 * len(columns), 1.62 * rows))
    for row, scene in enumerate(bench.scenes[:rows]):
        for axis, (name, images) in zip(axes[row], columns.items(), strict=True):
            axis.imshow(images[row].clamp(0, 1).numpy())
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name, fontsize=8, pad=18)
        axes[row, 0].text(0, -4, scene.instruction, fontsize=8, fontweight="bold")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.05, 0.25)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_curves(curves: dict[str, list[dict[str, Any]]], floor: float, path: Path) -> None:
    """Outside change against success, a curve a method; points are text guidances."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4.5))
    for name, points in curves.items():
        x = [100 * p["success"]["mean"] for p in points]
        y = [p["outside"]["mean"] for p in points]
        axis.plot(x, y, marker="o", label=name)
        for a, b, p in zip(x, y, points, strict=True):
            axis.annotate(f"{p['text_guidance']:g}", (a, b), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axis.axhline(floor, color="gray", linestyle=":", label="autoencoder's round trip")
    axis.set(xlabel="edits that succeed, %", ylabel="mean absolute change outside the region", ylim=(0, None))
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first scene; default: %(default)s")
    parser.add_argument("--sweep", type=int, default=30, help="scenes of the guidance sweep; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("quality"), help="folder; default: %(default)s")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    def scenes(count: int) -> list[Any]:
        return [make_scene(options.first + i, "held_out", KINDS[i % len(KINDS)]) for i in range(count)]

    with torch.inference_mode():
        bench = Bench(scenes(options.scenes))
        kinds = np.array([s.kind for s in bench.scenes])
        floor = outside_change(bench.vae.decode(bench.latent), bench).mean().item()
        print(f"{options.scenes} scenes; outside change of the autoencoder's round trip: {floor:.4f}\n{HEADER}")
        report: dict[str, Any] = {}
        pictures = {}
        for name, method in METHODS.items():
            result = bench.run(method)
            pictures[name] = result["pictures"][:10]
            report[name] = summarise(result, kinds)
            print(line(name, report[name]), flush=True)
            (options.out / "quality.json").write_text(json.dumps(report, indent=1) + "\n")
        for kind in KINDS:
            print(f"\n{kind}\n{HEADER}")
            for name, summary in report.items():
                print(line(name, summary, kind))
        draw_sheet(bench, pictures, options.out / "sheet.png")
        bench = Bench(scenes(options.sweep))
        kinds = np.array([s.kind for s in bench.scenes])
        curves = {
            name: [
                summarise(bench.run(replace(method, guidance=(text, method.guidance[1]))), kinds)
                | {"text_guidance": text}
                for text in GUIDANCES
            ]
            for name, method in CURVES.items()
        }
        draw_curves(curves, floor, options.out / "curves.png")
    (options.out / "curves.json").write_text(json.dumps({"floor": floor, "curves": curves}, indent=1) + "\n")


if __name__ == "__main__":
    main()
