"""Which tokens to silence inside a region, in which branches and how strongly, on the model that needs guidance.

`python -m benchmarks.tokens --rows plain tokens` edits held-out scenes and adds what they gave to --out, one entry a
scene and row; what is there already is not run again, so a long run can be cut anywhere. `--table` prints what is
there. Nothing is kept outside the region and nothing is pasted back, so that what is seen is regularising alone.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.quality import PUBLISHED, TRUE, Bench, Region, interval
from demo.evaluate import FIRST_SEED, inside_distance, iou, outside_change, succeeded
from demo.scenes import KINDS, Scene, make_scene
from lime_ops import attention_probabilities, resize_region

START, WORDS, COMMANDS, FUNCTIONS, END, PADDING = "start", "words", "commands", "functions", "end", "padding"
GROUPS = (START, FUNCTIONS, END, PADDING)  # that somebody might silence
ALL, INSTRUCTION = "all", "instruction"  # branches
BATCH = 50  # scenes
MEASURES = ("success", "inside", "outside", "iou")


@dataclass(frozen=True)
class Row:
    """One way to edit. silenced: names of groups of tokens; none: a plain edit.

    emptied: groups that get, everywhere, the embeddings that the empty text has in their columns: what the others
    carry is what is left (as in "Padding Tone", arXiv 2501.06751, intervention in the text encoder).
    """

    guidance: float
    silenced: tuple[str, ...] = ()
    branches: str = INSTRUCTION
    strength: float = 1.0
    found: bool = False  # the region: found, or the true one
    emptied: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        if self.emptied:
            return f"{self.guidance:g} emptied {'+'.join(self.emptied)}"
        if not self.silenced:
            return f"{self.guidance:g} plain"
        region = "found" if self.found else "true"
        return f"{self.guidance:g} {'+'.join(self.silenced)} / {self.branches} / {self.strength:g} / {region}"


PUBLISHED_TOKENS = (START, FUNCTIONS, PADDING)
RECOMMENDED_TOKENS = (START, COMMANDS, FUNCTIONS, PADDING)
OURS = (START, FUNCTIONS)
CONTENT = (START, COMMANDS, FUNCTIONS)  # only what is named may act, and padding
TEXT = (WORDS, COMMANDS, FUNCTIONS)
ROWS = {
    "plain": [Row(guidance) for guidance in (1, 1.5, 2, 3, 5, 7.5)],
    "tokens": [Row(3, groups) for groups in (*((g,) for g in GROUPS), OURS, (START, PADDING), PUBLISHED_TOKENS)],
    "branches": [Row(3, groups, ALL) for groups in ((START,), (PADDING,), OURS, PUBLISHED_TOKENS)],
    "strength": [
        *(Row(3, OURS, strength=strength) for strength in (0.5, 0.9)),
        Row(3, PUBLISHED_TOKENS, ALL, 0.9),
        Row(3, RECOMMENDED_TOKENS, ALL, 0.9),
    ],
    "low guidance": [Row(1.5, OURS), Row(1.5, PUBLISHED_TOKENS, ALL)],
    "found": [
        Row(3, OURS, found=True),
        Row(3, PUBLISHED_TOKENS, ALL, found=True),
        Row(3, RECOMMENDED_TOKENS, ALL, 0.9, found=True),
    ],
    "pairs": [Row(3, groups, branches) for groups in combinations(GROUPS, 2) for branches in (INSTRUCTION, ALL)],
    "content": [
        Row(3, groups, branches) for groups in (CONTENT, RECOMMENDED_TOKENS) for branches in (INSTRUCTION, ALL)
    ],
    "emptied": [
        Row(3, emptied=groups)
        for groups in ((PADDING,), (END,), (END, PADDING), TEXT, (*TEXT, END), (*TEXT, PADDING), (COMMANDS, FUNCTIONS))
    ],
}


class TokenBench(Bench):
    """Scenes whose regularised tokens are chosen by group."""

    @cached_property
    def groups(self) -> dict[str, Tensor]:
        """Name of each group of tokens -> its columns: bool [N, T]. Together they are all columns."""
        groups = {name: torch.zeros(self.text.shape[:2], dtype=torch.bool) for name in (*GROUPS, WORDS, COMMANDS)}
        for i, (ours, published) in enumerate(zip(self.tokens("recommended"), self.tokens(PUBLISHED), strict=True)):
            end = max(c for c in range(len(ours.unrelated)) if not ours.unrelated[c])
            groups[START][i, 0] = groups[END][i, end] = True
            groups[PADDING][i, end + 1 :] = True
            groups[WORDS][i, list(ours.columns)] = True
            groups[FUNCTIONS][i, 1:end] = published.unrelated[1:end]
            groups[COMMANDS][i, 1:end] = (ours.unrelated & ~published.unrelated)[1:end]
        return groups

    def columns_of(self, names: tuple[str, ...]) -> Tensor:
        return torch.stack([self.groups[name] for name in names]).any(0)

    def regularised(self, row: Row, mask: Tensor) -> Any:
        model = self.model.clone()
        sampling = model.get_model_object("model_sampling")
        regularizer = self.hooks.Regularizer(
            blocks=self.hooks.cross_attention_blocks(model),
            region=mask,
            unrelated=self.columns_of(row.silenced),
            embedding=self.text,
            strength=row.strength,
            first=sampling.percent_to_sigma(0.0),
            last=sampling.percent_to_sigma(0.9),
            instruction_only=row.branches == INSTRUCTION,
        )
        model.add_wrapper_with_key("predict_noise", "lime", regularizer.predict_noise)
        return model

    def shares(self, guidance: float) -> dict[str, dict[str, dict[str, float]]]:
        """Layer -> group -> its share of the instruction's cross-attention inside and outside the region.

        Means over scenes, heads, pixels and the steps of a plain edit.
        """
        sums: dict[str, list[Tensor]] = {}

        def around(q: Tensor, k: Tensor, v: Tensor, extra: dict, attention: Any, uuids: set) -> Tensor:
            for uuid, rows in self.hooks.chunks(q.shape[0], extra["uuids"]):
                if uuid in uuids:
                    maps = attention_probabilities(q[rows], k[rows], extra["n_heads"])
                    by_group = maps @ torch.stack(list(self.groups.values()), -1).float()  # [N, pixels, groups]
                    here = resize_region(self.region, tuple(extra["activations_shape"][-2:])).flatten(1)
                    layer = "{} {}".format(*extra["block"])
                    sums.setdefault(layer, []).append(torch.stack([by_group[here].mean(0), by_group[~here].mean(0)]))
            return attention(q, k, v, extra)

        def predict_noise(executor: Any, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None) -> Tensor:
            uuids = {c["uuid"] for c in executor.class_obj.conds["positive"]}
            blocks = self.hooks.cross_attention_blocks(self.model)
            options = self.hooks.with_attention(model_options, blocks, partial(around, uuids=uuids))
            return executor(x, timestep, options, seed)

        model = self.model.clone()
        model.add_wrapper_with_key("predict_noise", "shares", predict_noise)
        self.sample(self.guider(guidance, model=model))
        return {
            layer: {
                name: {"inside": round(inside.item(), 4), "outside": round(outside.item(), 4)}
                for name, (inside, outside) in zip(self.groups, torch.stack(values).mean(0).T, strict=True)
            }
            for layer, values in sums.items()
        }

    def edit(self, row: Row) -> dict[str, Tensor]:
        """MEASURES of each scene: [N]."""
        model, mask = self.model, self.region
        if row.silenced:
            mask = self.probe_region(Region() if row.found else Region(TRUE)).mask
            model = self.regularised(row, mask)
        text = torch.where(self.columns_of(row.emptied)[..., None], self.empty, self.text) if row.emptied else None
        pictures = self.vae.decode(self.sample(self.guider(row.guidance, model=model, text=text)))
        return {
            "success": succeeded(pictures, self).float(),
            "inside": inside_distance(pictures, self),
            "outside": outside_change(pictures, self),
            "iou": iou(mask, self.region),
        }


def draw(seeds: range) -> list[Scene]:
    return [make_scene(s, "held_out", KINDS[i % len(KINDS)]) for i, s in enumerate(seeds)]


def summarise(results: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, Any]]:
    """Row -> number of scenes, and of each measure the mean with its 95 % interval."""
    return {
        name: {"scenes": len(values["seeds"])} | {measure: interval(np.array(values[measure])) for measure in MEASURES}
        for name, values in results.items()
    }


def line(name: str, figures: dict[str, Any]) -> str:
    success, inside, outside, overlap = (figures[measure] for measure in MEASURES)
    percent = "{:.0f} [{:.0f}, {:.0f}]".format(*(100 * success[key] for key in ("mean", "low", "high")))
    return (
        f"{name:58}{figures['scenes']:7}{percent:>16}{inside['mean']:9.3f}{outside['mean']:9.3f}{overlap['mean']:8.2f}"
    )


HEADER = f"{'row':58}{'scenes':>7}{'success %':>16}{'inside':>9}{'outside':>9}{'IoU':>8}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tokens", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first scene; default: %(default)s")
    parser.add_argument("--weights", type=Path, default=Path("demo/weights_guided"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tokens.json"))
    parser.add_argument("--section", default="held out", help="of --out that the rows go to; default: %(default)s")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no row after this long")
    parser.add_argument("--shares", action="store_true", help="only print the groups' shares of attention on --scenes")
    parser.add_argument("--table", action="store_true", help="only print what is in --out")
    options = parser.parse_args()
    if options.shares:
        with torch.inference_mode():
            bench = TokenBench(draw(range(options.first, options.first + options.scenes)), weights=options.weights)
            print(json.dumps(bench.shares(3.0), indent=1))
        return
    sections = json.loads(options.out.read_text()) if options.out.is_file() else {}
    if not options.table:
        run(options, sections)
    for section, results in sections.items():
        print(f"\n{section}\n{HEADER}")
        for name, figures in summarise(results).items():
            print(line(name, figures))


def run(options: argparse.Namespace, sections: dict[str, dict[str, dict[str, list[float]]]]) -> None:
    """Adds what is asked for and not there to `sections` and --out.

    {section: {row: {"seeds": [of the scenes], measure: [a value a scene]}}}
    """
    end = time.monotonic() + 60 * options.minutes
    results = sections.setdefault(options.section, {})
    rows = list(dict.fromkeys(row for name in options.rows for row in ROWS[name]))
    for first in range(options.first, options.first + options.scenes, BATCH):
        seeds = range(first, min(first + BATCH, options.first + options.scenes))
        missing = [row for row in rows if first not in results.get(row.name, {}).get("seeds", [])]
        if not missing:
            continue
        with torch.inference_mode():
            bench = TokenBench(draw(seeds), weights=options.weights)
            for row in missing:
                if time.monotonic() > end:
                    return
                values = results.setdefault(row.name, {"seeds": [], **{measure: [] for measure in MEASURES}})
                values["seeds"] += seeds
                for measure, new in bench.edit(row).items():
                    values[measure] += [round(value, 4) for value in new.tolist()]
                options.out.write_text(json.dumps(sections) + "\n")


if __name__ == "__main__":
    main()
