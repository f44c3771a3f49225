"""Trains the demo's DiT: `python -m demo.train_dit --resume`. The autoencoder is the demo model's.

Seeded; stopped at any time, it goes on from the last checkpoint in --out, to more --steps too. `--export FOLDER` trains
nothing: it stores the weights, the curve and the report of the last checkpoint, and ends; `--start FOLDER` makes such
stored weights a checkpoint again, with fresh optimizers. Needs ComfyUI 0.3.75: later ones rotate positions in a kernel
that has no gradient.
"""

import argparse
import json
import math
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .host import use_host
from .train_data import HIGH_NOISE, encoded_scenes, loss_weight
from .train_loop import add_options, checkpoint, device, fit, save, trapezoid

DROPPED = 0.05  # of text, for classifier-free guidance
HIGHEST = 0.9  # sigma from which noise is high
# From which step on pictures are how many latent pixels wide: first what lies around the edit, at a fifth of the cost.
WINDOWS = {0: 8, 2500: 12, 3500: 16}
ASIDE = 0.2  # share of windows that lie anywhere
REGION_WEIGHT = 0.2  # of the loss that asks features after the double blocks where the edit belongs
REGION_STEPS = 3000  # over which that weight goes down to 0
LOOK_SCALE = 1.5  # of normalised queries and keys


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.train_dit", description=__doc__)
    add_options(parser, "runs/dit", "6000", "2e-3", "none, see --export")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    half = "multiply in bfloat16: nearly twice as fast on processors that can"
    parser.add_argument("--bfloat16", action="store_true", help=half)
    parser.add_argument("--export", type=Path, help="store the weights of the last checkpoint in this folder")
    parser.add_argument("--start", type=Path, help="make the weights that this folder stores a checkpoint to resume")
    parser.set_defaults(stage="dit")
    options = parser.parse_args()
    options.steps, options.rate = options.steps or 6000, options.rate or 2e-3
    use_host()
    if options.export:
        export(options)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    if options.start:
        start(options)
        return
    train(options)


class Editor(nn.Module):
    """The DiT and the text model, trained together, and a reader of regions that is not kept."""

    flux: Any  # the host's
    text: Any
    vocabulary: Tensor
    sigmas: Tensor

    def __init__(self, vocabulary: Tensor) -> None:
        super().__init__()
        from .model_dit import WIDTH, new_flux, new_t5

        model = new_flux()
        self.flux = model.diffusion_model
        self.text = new_t5().cond_stage_model.t5xxl.transformer
        # Only the tokens of the scenes' words have rows while training; `export` keeps their ids.
        self.text.shared = nn.Embedding(len(vocabulary), WIDTH)
        self.region = nn.Linear(WIDTH, 1)
        self.register_buffer("vocabulary", vocabulary)
        self.register_buffer("sigmas", model.model_sampling.sigmas.clone(), persistent=False)
        self.requires_grad_(True).train()
        initialise(self)

    def encode(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] to text [B, T, C]."""
        return self.text.encoder(self.text.shared(torch.searchsorted(self.vocabulary, tokens)))[0]

    def forward(self, noisy: Tensor, sigma: Tensor, tokens: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted velocity [B, 4, h, w], and logits of the region [B, h, w] read from features."""
        last, seen = len(self.flux.double_blocks) - 1, []

        def look(args: dict, extra: dict) -> dict:
            out = extra["original_block"](args)
            seen.append(out["img"][:, : noisy[0, 0].numel()].clone())
            return out

        options = {
            "optimized_attention_override": plain_attention,
            "patches_replace": {"dit": {("double_block", last): look}},
        }
        velocity = self.flux(noisy, sigma, self.encode(tokens), ref_latents=[source], transformer_options=options)
        return velocity, self.region(seen[0]).view(noisy[:, 0].shape)


def plain_attention(func: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, **kwargs: Any) -> Tensor:
    """Written out, [B, H, N, C] to [B, N, H C]: on a CPU the fused kernel's backward pass takes longer."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


# --- start -----------------------------------------------------------------------------------------------------------


def initialise(editor: Editor) -> None:
    """The host's layers come uninitialised: it always loads weights into them."""
    from .model_dit import REFERENCE_INDEX

    for name, module in editor.named_modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
        elif type(module).__name__ == "T5LayerNorm":
            nn.init.ones_(module.weight)
        elif name.endswith(("query_norm", "key_norm")):
            nn.init.constant_(next(module.parameters()), LOOK_SCALE)
    for block in editor.text.encoder.block:
        attention = block.layer[0].SelfAttention
        attention.q.weight.data /= (len(attention.q.weight) / attention.num_heads) ** 0.5  # T5 does not scale scores
    flux = editor.flux
    for module in (
        flux.double_stream_modulation_img.lin,
        flux.double_stream_modulation_txt.lin,
        flux.single_stream_modulation.lin,
        flux.final_layer.adaLN_modulation[1],
        flux.final_layer.linear,
    ):
        nn.init.zeros_(module.weight)
    for layer in (*[b.img_attn.qkv for b in flux.double_blocks], *[b.linear1 for b in flux.single_blocks]):
        look_at_the_same_place(flux, layer, 0, REFERENCE_INDEX)
        look_at_the_same_place(flux, layer, 1, 0.0)


@torch.no_grad()
def look_at_the_same_place(flux: Any, layer: nn.Linear, head: int, index: float) -> None:
    """Starts a head as one that looks at its own place and near it, in the picture that lies `index` further.

    Queries and keys begin as biases that positions turn (as ConViT's position heads, arXiv 2103.10697): without them a
    DiT spends most of a short training on finding out which token of the reference belongs to which of its own.
    """
    width = flux.hidden_size // flux.num_heads
    queries, keys = (slice(first + head * width, first + (head + 1) * width) for first in (0, flux.hidden_size))
    layer.weight[queries] *= 0.1
    layer.weight[keys] *= 0.1
    (along, rows, _), finest = flux.params.axes_dim, 3  # pairs of an axis that tell neighbours apart
    pairs = [0, *range(along // 2, along // 2 + finest), *range((along + rows) // 2, (along + rows) // 2 + finest)]
    for part, turn in ((queries, index), (keys, 0.0)):
        bias = torch.zeros(width // 2, 2)
        bias[pairs, 0] = 1
        bias[0] = torch.tensor([turn, turn - torch.pi / 2]).cos()  # turned by an angle of 1 for each index
        layer.bias[part] = bias.flatten()


# --- training --------------------------------------------------------------------------------------------------------


def window_at(step: int) -> int:
    return WINDOWS[max(first for first in WINDOWS if first <= step)]


def cut(maps: Tensor, corners: Tensor, side: int) -> Tensor:
    """Windows [B, ..., side, side] of maps [B, ..., H, W], each from its corner (row, column) of corners [B, 2]."""
    rows, columns = (corners[:, i, None] + torch.arange(side) for i in (0, 1))
    batch = torch.arange(len(maps))[:, None, None]
    return maps.movedim((-2, -1), (1, 2))[batch, rows[:, :, None], columns[:, None]].movedim((1, 2), (-2, -1))


def corners_around(regions: Tensor, side: int) -> Tensor:
    """Corners [B, 2] of windows around the regions [B, H, W], moved a little; some lie anywhere."""
    count, size = len(regions), regions.shape[-1]
    at = torch.arange(size) + 0.5
    mass = regions.sum((1, 2)).clamp_min(1e-6)
    centre = torch.stack([(regions.sum(2) * at).sum(1), (regions.sum(1) * at).sum(1)], 1) / mass[:, None]
    near = (centre - side / 2 + side / 4 * (2 * torch.rand(count, 2) - 1)).round()
    anywhere = torch.randint(0, size - side + 1, (count, 2)).float()
    return torch.where(torch.rand(count, 1) < ASIDE, anywhere, near).clamp(0, size - side).long()


def optimizers_of(editor: Editor, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, which learn from fewer samples with it; AdamW for all else."""
    blocks = [*editor.flux.double_blocks, *editor.flux.single_blocks, *editor.text.encoder.block]
    linear = [m for block in blocks for m in block.modules() if isinstance(m, nn.Linear)]
    matrices = [m.weight for m in linear]
    others = [p for p in editor.parameters() if all(p is not m for m in matrices)]
    return [
        torch.optim.Muon(matrices, rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, rate, weight_decay=0.01, betas=(0.9, 0.98)),
    ]


def prepare(options: argparse.Namespace) -> dict[str, Tensor]:
    """The whole training set as latents, regions and tokens [N, T]; and the empty text's tokens [1, T]."""
    from .model_dit import new_t5

    tokenizer = new_t5().tokenizer
    tokens_of = cache(lambda text: [token for token, _ in tokenizer.tokenize_with_weights(text)["t5xxl"][0]])
    data = encoded_scenes(options)
    tokens = torch.tensor([tokens_of(text) for text in data["texts"]])
    return {
        **{name: data[name] for name in ("latents", "regions")},
        "tokens": tokens,
        "empty": torch.tensor([tokens_of("")]),
    }


def losses(editor: Editor, data: dict[str, Tensor], batch: int, step: int, bfloat16: bool = False) -> dict[str, Tensor]:
    """The losses of a batch of samples."""
    rows, side = torch.randint(len(data["tokens"]), (batch,)), window_at(step)
    tokens, regions = data["tokens"][rows], data["regions"][rows].float()
    told = torch.rand(batch) >= DROPPED
    tokens = torch.where(told[:, None], tokens, data["empty"])
    corners = corners_around(regions, side)
    regions = cut(regions, corners, side).to(device())
    latents = cut(data["latents"][rows].float(), corners, side).to(device())
    source, wanted = latents[:, 0], latents[:, 1]
    high = torch.rand(batch) < HIGH_NOISE
    any_noise = editor.sigmas[torch.randint(len(editor.sigmas), (batch,))].cpu()
    sigma = torch.where(high, HIGHEST + (1 - HIGHEST) * torch.rand(batch), any_noise).to(device())
    noise = torch.randn_like(wanted)
    noisy = torch.lerp(wanted, noise, sigma[:, None, None, None])
    with torch.autocast(device().type, torch.bfloat16, enabled=bfloat16):
        velocity, logits = editor(noisy, sigma, tokens.to(device()), source)
    weight = loss_weight(source, wanted, regions, told.to(device()))
    error = ((velocity.float() - (noise - wanted)).square() * weight).mean()
    region = F.binary_cross_entropy_with_logits(logits[told].float(), regions[told])
    total = error + REGION_WEIGHT * max(0, 1 - step / REGION_STEPS) * region
    return {"total": total, "error": error, "region": region}


def train(options: argparse.Namespace) -> None:
    data = prepare(options)
    editor = Editor(torch.cat([data["tokens"].unique(), data["empty"].unique()]).unique()).to(device())
    print(f"{sum(p.numel() for p in editor.flux.parameters()) / 1e6:.2f} M parameters in the DiT")
    # The host's blocks add in place, to what autograd has saved.
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        fit(
            options,
            editor,
            optimizers_of(editor, options.rate),
            lambda step: losses(editor, data, options.batch, step, options.bfloat16),
            lambda step: options.rate * trapezoid(step, options.steps),
            lambda average: None,
        )


# --- weights ---------------------------------------------------------------------------------------------------------


def in_8_bits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each row of a matrix as integers times a step of its own."""
    from .model_dit import STEP

    out = {}
    for name, value in weights.items():
        if value.is_floating_point() and value.ndim == 2:
            step = (value.abs().amax(1, keepdim=True) / 127).clamp_min(1e-7).half()
            out[name + STEP] = step
            value = (value / step.float()).round().clamp(-127, 127).to(torch.int8)
        out[name] = value
    return out


def export(options: argparse.Namespace) -> None:
    """Stores the averaged weights of the last checkpoint, its loss curve and its report."""
    state = torch.load(checkpoint(options), weights_only=True)["average"]
    parts = {
        name: {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        for name in ("flux", "text")
    }
    save("flux", in_8_bits(parts["flux"]), options.export)
    save("text", in_8_bits(parts["text"]) | {"token_ids": state["vocabulary"].int()}, options.export)
    shutil.copy(options.out / "dit_loss.png", options.export / "loss.png")
    shutil.copy(options.out / "dit.json", options.export / "training.json")


def start(options: argparse.Namespace) -> None:
    """A checkpoint from stored weights. What is not stored begins anew: optimizers, reader of regions, curve."""
    from .model_dit import stored

    text = stored("text", options.start)
    editor = Editor(text.pop("token_ids").long())
    editor.flux.load_state_dict(stored("flux", options.start))
    editor.text.load_state_dict(text)
    step = json.loads((options.start / "training.json").read_text())["steps"]
    state = {
        "module": editor.state_dict(),
        "average": editor.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers_of(editor, options.rate)],
        "step": step,
        "curve": [[math.nan] * 3] * step,
    }
    torch.save(state, checkpoint(options))


if __name__ == "__main__":
    main()
