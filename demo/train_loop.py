"""What every training of the demo's models shares: options, the loop with its checkpoints, curves, stored weights."""

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

SHARE = "share "  # names of logged figures that are no losses begin so
CHECKPOINT = 100  # steps between checkpoints
EMA = 0.999
WARM_UP = 200  # steps

Trained = TypeVar("Trained", bound=nn.Module)


def add_options(parser: argparse.ArgumentParser, out: str, steps: str, rate: str, weights: str) -> None:
    """The options of every training; steps, rate and weights say the defaults."""
    parser.add_argument("--out", type=Path, default=Path(out), help=f"checkpoints and curves; default: {out}")
    parser.add_argument("--steps", type=int, help=f"default: {steps}")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, help=f"peak learning rate; default: {rate}")
    parser.add_argument("--scenes", type=int, default=40_000, help="size of the training set")
    parser.add_argument("--photographs", type=float, default=0.0, help="share of it that is photographic scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help=f"folder of the trained weights; default: {weights}")
    parser.add_argument("--workers", type=int, help="processes that draw scenes; default: one a core")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cosine(step: int, steps: int) -> float:
    """Share of the peak rate: a warm-up, then half a cosine."""
    return min(1, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def trapezoid(step: int, steps: int) -> float:
    """Share of the peak rate: a warm-up, constant, and down over the last fifth; so a training can be prolonged."""
    return min(1, (step + 1) / WARM_UP, (steps - step) / (0.2 * steps))


def fit(
    options: argparse.Namespace,
    module: Trained,
    optimizers: list[torch.optim.Optimizer],
    loss_of: Callable[[int], dict[str, Tensor]],
    rate_at: Callable[[int], float],
    on_checkpoint: Callable[[Trained], None],
) -> Trained:
    """Minimises loss_of(step) -> {name: loss}; "total" is the one. Returns the moving average of the weights."""
    from tqdm import tqdm

    average = copy.deepcopy(module).requires_grad_(False)
    first, curve = 0, []
    if options.resume and checkpoint(options).is_file():
        state = torch.load(checkpoint(options), weights_only=True)
        module.load_state_dict(state["module"])
        average.load_state_dict(state["average"])
        for optimizer, stored in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        first, curve = state["step"], state["curve"]
    steps, began = options.steps, time.monotonic()
    with tqdm(total=steps, initial=first, unit="step", mininterval=10) as bar:
        for step in range(first, steps):
            torch.manual_seed(options.seed * 1_000_003 + step)
            losses = loss_of(step)
            module.zero_grad()
            losses["total"].backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate_at(step)
                optimizer.step()
            decay = min(EMA, (step + 1) / (step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
            curve.append([losses[name].item() for name in losses])
            bar.update()
            if (step + 1) % 50 == 0:
                recent = torch.tensor(curve[-50:]).mean(0).tolist()
                bar.set_postfix({name: f"{value:.4f}" for name, value in zip(losses, recent, strict=True)})
            if (step + 1) % CHECKPOINT == 0 or step + 1 == steps:
                state = {
                    "module": module.state_dict(),
                    "average": average.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "step": step + 1,
                    "curve": curve,
                }
                whole(checkpoint(options), lambda path, state=state: torch.save(state, path))
                draw_curve(curve, list(losses), options.out / f"{options.stage}_loss.png")
                write_report(options, list(losses), curve)
                on_checkpoint(average)
    print(f"{steps - first} steps in {time.monotonic() - began:.0f} s")
    return average


def checkpoint(options: argparse.Namespace) -> Path:
    return options.out / f"{options.stage}.pt"


def whole(path: Path, write: Callable[[Path], None]) -> None:
    """The file that `write` writes, never half of it, even if the process is stopped."""
    write(path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def write_report(options: argparse.Namespace, names: list[str], curve: list[list[float]]) -> None:
    """What has been trained so far and how, as JSON beside the checkpoint."""
    recent = torch.tensor(curve[-CHECKPOINT:]).mean(0).tolist()
    report = {
        "steps": len(curve),
        "samples": len(curve) * options.batch,
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        f"means_of_last_{CHECKPOINT}_steps": {name: round(x, 4) for name, x in zip(names, recent, strict=True)},
    }
    (options.out / f"{options.stage}.json").write_text(json.dumps(report, indent=1) + "\n")


def draw_curve(curve: list[list[float]], names: list[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    values = torch.tensor(curve)
    width = max(1, len(curve) // 200)
    smooth = values.unfold(0, width, width).mean(-1)
    panels = {"loss": "loss", SHARE: "start token's share of cross-attention"}
    kinds = [SHARE if name.startswith(SHARE) else "loss" for name in names]
    shown = [kind for kind in panels if kind in kinds]
    figure, axes = plt.subplots(1, len(shown), figsize=(6 * len(shown), 4), squeeze=False)
    for kind, axis in zip(shown, axes[0], strict=True):
        for i in (i for i, other in enumerate(kinds) if other == kind):
            axis.plot(torch.arange(len(smooth)) * width, smooth[:, i], label=names[i].removeprefix(SHARE))
        axis.set(xlabel="step", ylabel=panels[kind], yscale="log" if kind == "loss" else "linear")
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def save(name: str, weights: dict[str, Tensor], folder: Path) -> None:
    """Stores weights in half precision; integers as they are."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    half = {k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in weights.items()}
    whole(folder / f"{name}.safetensors", lambda path: save_file(half, path))
