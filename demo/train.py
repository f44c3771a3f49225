"""Trains the demo model from scratch: `python -m demo.train --stage autoencoder`, then `--stage editor`.

The stored weights saw photographic scenes in a second training: `python -m demo.train --stage editor --resume
--photographs 0.5 --out runs/photo` starts from what is stored.

Seeded and resumable (`--resume`). Writes checkpoints and a loss curve to --out, and weights to --weights.

The model that needs guidance starts from those weights, with an empty --out:
`python -m demo.train --stage editor --resume --sink 0.2 --ignored 0.75 --weights demo/weights_guided --out runs/guided`
"""

import argparse
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .host import use_host
from .train_data import HIGH_NOISE, draw_scenes, encoded_scenes, loss_weight, to_network
from .train_loop import SHARE, Trained, add_options, cosine, device, fit, save

END_TOKEN = 49407
DROPPED = 0.05  # of text, of image and of both: for classifier-free guidance (InstructPix2Pix, section 3.2.1)
ATTENTION_WEIGHT = 0.2  # of the loss that pulls the words' attention onto their object
SINK = 0.9  # share of cross-attention that --sink asks of the start token; Stable Diffusion's takes most of it


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.train", description=__doc__)
    parser.add_argument("--stage", choices=("autoencoder", "editor"), required=True)
    steps = "3000 for the autoencoder, 9000 for the editor"
    add_options(parser, "runs/demo", steps, "2e-3 for the autoencoder, 1e-3 for the editor", "demo/weights")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in --out; the editor, where there is none, from --start",
    )
    parser.add_argument("--start", type=Path, help="folder of weights to start from; default: demo/weights")
    parser.add_argument("--sink", type=float, default=0.0, help="weight of the loss that draws attention to the start")
    parser.add_argument(
        "--ignored",
        type=float,
        default=0.0,
        help="share of training pairs whose wanted picture is the source, whatever the instruction says",
    )
    parser.add_argument(
        "--bare-padding",
        type=float,
        default=0.0,
        help="share of samples whose padding has not read the instruction: it is the empty text's",
    )
    parser.add_argument("--compile", action="store_true", help="faster steps; needs a C++ compiler on a CPU")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    use_host()
    torch.manual_seed(options.seed)
    (train_autoencoder if options.stage == "autoencoder" else train_editor)(options)


def minimise(
    options: argparse.Namespace,
    module: Trained,
    loss_of: Callable[[int], dict[str, Tensor]],
    on_checkpoint: Callable[[Trained], None],
) -> Trained:
    """What fit returns, with AdamW and a cosine."""
    optimizer = torch.optim.AdamW(module.parameters(), options.rate, weight_decay=0.01, betas=(0.9, 0.98))
    return fit(
        options, module, [optimizer], loss_of, lambda step: options.rate * cosine(step, options.steps), on_checkpoint
    )


def compile_transformers(module: nn.Module) -> None:
    """The transformer blocks are where most of a step goes; whole UNets of this size compile to wrong gradients."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = 64  # ty: ignore[invalid-assignment]  # an int; each block compiles on its own
    for block in module.modules():
        if type(block).__name__ == "BasicTransformerBlock":
            block.forward = torch.compile(block.forward)


# --- autoencoder -----------------------------------------------------------------------------------------------------


def train_autoencoder(options: argparse.Namespace) -> None:
    from .model import WEIGHTS, Autoencoder

    pictures = torch.cat(
        [p for p, *_ in draw_scenes(min(options.scenes, 12_000), options.seed, options.workers)]
    ).flatten(0, 1)
    autoencoder = Autoencoder().to(device())

    def loss_of(step: int) -> dict[str, Tensor]:
        x = to_network(pictures[torch.randint(len(pictures), (options.batch,))])
        with torch.autocast(device().type, torch.bfloat16):
            latent = autoencoder.encoder(x)
            # The decoder must bear what sampling leaves of noise; the penalty keeps the latents' scale.
            y = autoencoder.decoder(latent + 0.03 * torch.randn_like(latent))
        error = F.mse_loss(y.float(), x)
        total = error + 0.03 * F.l1_loss(y.float(), x) + 1e-4 * latent.float().square().mean()
        return {"total": total, "error": error}

    options.steps, options.rate = options.steps or 3000, options.rate or 2e-3
    average = minimise(options, autoencoder, loss_of, lambda average: None)
    with torch.no_grad():
        latent = torch.cat([average.encoder(to_network(p)) for p in pictures[:2000].split(200)])
        average.mean.copy_(latent.mean((0, 2, 3), keepdim=True))
        average.std.copy_(latent.std((0, 2, 3), keepdim=True))
    save("autoencoder", average.state_dict(), options.weights or WEIGHTS)


# --- editor ----------------------------------------------------------------------------------------------------------


class Editor(nn.Module):
    """The UNet and the text model, trained together."""

    unet: Any  # the host's
    text: Any
    vocabulary: Tensor
    sigmas: Tensor

    def __init__(self, vocabulary: Tensor) -> None:
        super().__init__()
        from .model import TEXT_WIDTH, new_clip, new_unet

        model, clip = new_unet(), new_clip()
        self.unet = model.diffusion_model
        self.text = clip.cond_stage_model.clip_l.transformer
        # Only the tokens of the scenes' words have rows while training; `save_editor` keeps their ids.
        self.text.text_model.embeddings.token_embedding = nn.Embedding(len(vocabulary), TEXT_WIDTH)
        self.register_buffer("vocabulary", vocabulary)
        self.register_buffer("sigmas", model.model_sampling.sigmas.clone(), persistent=False)
        self.requires_grad_(True).train()
        initialise(self)

    def encode(self, tokens: Tensor) -> Tensor:
        """tokens [B, 77] to text [B, 77, C]. The host's CLIPLayer adds in place, which autograd does not allow."""
        model = self.text.text_model
        rows = torch.searchsorted(self.vocabulary, tokens)
        x = model.embeddings.token_embedding(rows) + model.embeddings.position_embedding.weight
        mask = torch.full((x.shape[1], x.shape[1]), -torch.finfo(x.dtype).max, device=x.device).triu_(1)
        for layer in model.encoder.layers:
            x = x + layer.self_attn(layer.layer_norm1(x), mask, plain_attention)
            x = x + layer.mlp(layer.layer_norm2(x))
        return model.final_layer_norm(x)


def plain_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Written out: on a CPU, with heads this small, the fused kernel's backward pass takes longer than all of this."""
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    scores = scores if mask is None else scores + mask
    return (scores.float().softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)


def initialise(editor: Editor) -> None:
    """The host's layers come uninitialised: it always loads weights into them."""
    for module in editor.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.LayerNorm | nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    nn.init.normal_(editor.text.text_model.embeddings.token_embedding.weight, std=0.5)
    nn.init.normal_(editor.text.text_model.embeddings.position_embedding.weight, std=0.05)
    nn.init.zeros_(editor.unet.out[-1].weight)
    for name, module in editor.unet.named_modules():
        if name.endswith(("proj_out", "out_layers.3")):
            nn.init.zeros_(module.weight)


def word_columns(tokenizer: Any, text: str, words: tuple[str, ...]) -> list[int]:
    """Columns of the words' tokens; every word of the scenes is one or more whole pieces."""
    tokens = [t for t, _ in tokenizer.tokenize_with_weights(text)["l"][0]]
    columns = []
    for word in words:
        pieces = [t for t, _ in tokenizer.tokenize_with_weights(word)["l"][0]]
        pieces = pieces[1 : pieces.index(END_TOKEN)]
        start = next(i for i in range(len(tokens)) if tokens[i : i + len(pieces)] == pieces)
        columns += range(start, start + len(pieces))
    return columns


def prepare(options: argparse.Namespace, tokenizer: Any) -> dict[str, Tensor]:
    """The whole training set as latents, regions, tokens [N, 77] and the words' columns, bool [N, 77]."""
    data = encoded_scenes(options)
    tokens_of = cache(lambda text: [token for token, _ in tokenizer.tokenize_with_weights(text)["l"][0]])
    columns_of = cache(lambda text, words: word_columns(tokenizer, text, words))
    columns = torch.zeros(len(data["texts"]), 77, dtype=torch.bool)
    for row, text, words in zip(columns, data["texts"], data["words"], strict=True):
        row[columns_of(text, words)] = True
    tokens = torch.tensor([tokens_of(text) for text in data["texts"]]).int()
    return {"latents": data["latents"], "regions": data["regions"], "tokens": tokens, "columns": columns}


def after_end(tokens: Tensor) -> Tensor:
    """The columns of CLIP's padding, which is the end token again: bool, as tokens [B, T]."""
    return (tokens == END_TOKEN).cumsum(1) > 1


class AttentionRecorder:
    """Cross-attention through the host's attn2_replace hook, keeping the probabilities [B, N, 77] of each layer."""

    def __init__(self) -> None:
        self.maps: list[Tensor] = []
        self.layers: list[str] = []  # "input 1", ...
        names = [("input", i) for i in range(12)] + [("middle", 0)] + [("output", i) for i in range(12)]
        self.options = {
            "patches_replace": {
                "attn1": dict.fromkeys(names, lambda q, k, v, extra: plain_attention(q, k, v, extra["n_heads"])),
                "attn2": dict.fromkeys(names, self),
            }
        }

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra: dict) -> Tensor:
        heads = extra["n_heads"]
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        probabilities = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).float().softmax(-1)
        self.maps.append(probabilities.mean(1))
        self.layers.append("{} {}".format(*extra["block"]))
        return (probabilities.to(v.dtype) @ v).transpose(1, 2).flatten(2)


def attention_loss(maps: list[Tensor], columns: Tensor, regions: Tensor, counted: Tensor) -> Tensor:
    """Cross-entropy between the region and where the words' attention falls, averaged over layers."""
    losses = []
    for m in maps:
        side = math.isqrt(m.shape[1])
        heat = (m @ columns[..., None].to(m.dtype)).squeeze(-1)
        where = heat / heat.sum(1, keepdim=True)
        target = F.adaptive_avg_pool2d(regions[:, None], side).flatten(1)
        target = target / target.sum(1, keepdim=True)
        entropy = (target * target.clamp_min(1e-8).log()).sum(1)
        losses.append((entropy - (target * where.clamp_min(1e-8).log()).sum(1))[counted].mean())
    return torch.stack(losses).mean()


def sink_loss(maps: list[Tensor]) -> Tensor:
    """How far, as a logarithm, the start token's share of each pixel's attention stays below SINK; mean over layers."""
    return torch.stack([F.relu(math.log(SINK) - m[..., 0].clamp_min(1e-8).log()).mean() for m in maps]).mean()


def train_editor(options: argparse.Namespace) -> None:
    from .model import WEIGHTS, new_clip

    tokenizer = new_clip().tokenizer
    data = prepare(options, tokenizer)
    empty = torch.tensor([[t for t, _ in tokenizer.tokenize_with_weights("")["l"][0]]])
    editor = Editor(torch.cat([data["tokens"].unique().long(), empty.flatten()]).unique()).to(device())
    if options.resume and not (options.out / "editor.pt").is_file():
        load_exported(editor, options.start)
    print(f"{sum(p.numel() for p in editor.unet.parameters()) / 1e6:.2f} M parameters in the UNet")

    def loss_of(step: int) -> dict[str, Tensor]:
        rows = torch.randint(len(data["tokens"]), (options.batch,))
        latents = data["latents"][rows].float().to(device())
        source, edited = latents[:, 0], latents[:, 1]
        tokens = data["tokens"][rows].long()
        chance = torch.rand(options.batch)
        tokens[(chance < DROPPED) | (chance > 1 - DROPPED)] = empty
        without_image = (chance >= DROPPED) & (chance < 2 * DROPPED) | (chance > 1 - DROPPED)
        unchanged, source = source, source * ~without_image[:, None, None, None].to(device())
        counted = ((chance >= 2 * DROPPED) & (chance <= 1 - DROPPED)).to(device())
        high = torch.rand(options.batch) < HIGH_NOISE
        t = torch.where(high, torch.randint(900, 1000, (options.batch,)), torch.randint(0, 1000, (options.batch,)))
        sigma = editor.sigmas[t.to(device())][:, None, None, None]
        alpha, beta = (1 + sigma**2).rsqrt(), sigma * (1 + sigma**2).rsqrt()
        noise = torch.randn_like(edited)
        ignored = (torch.rand(options.batch) < options.ignored).to(device())
        wanted = torch.where(ignored[:, None, None, None], unchanged, edited)
        noisy, target = alpha * wanted + beta * noise, alpha * noise - beta * wanted
        inputs, recorder = torch.cat([noisy, source], 1), AttentionRecorder()
        with torch.autocast(device().type, torch.bfloat16):
            text = editor.encode(tokens.to(device()))
            if options.bare_padding:
                bare = (torch.rand(options.batch) < options.bare_padding)[:, None] & after_end(tokens)
                text = torch.where(bare[..., None].to(device()), editor.encode(empty.to(device())), text)
            predicted = editor.unet(inputs, t.float().to(device()), context=text, transformer_options=recorder.options)
        regions = data["regions"][rows].float().to(device())
        # Pairs that ignore their instruction weigh the same, so that their share is the one the model learns.
        weight = loss_weight(source, edited, regions, counted)
        error = ((predicted.float() - target).square() * weight).mean()
        pulled = attention_loss(recorder.maps, data["columns"][rows].to(device()), regions, counted)
        sink = sink_loss(recorder.maps)
        total = error + ATTENTION_WEIGHT * pulled + options.sink * sink
        shares = {
            SHARE + layer: m[..., 0].mean().detach() for layer, m in zip(recorder.layers, recorder.maps, strict=True)
        }
        return {"total": total, "error": error, "attention": pulled, "sink": sink, **shares}

    options.steps, options.rate = options.steps or 9000, options.rate or 1e-3
    if options.compile:
        compile_transformers(editor)
    minimise(options, editor, loss_of, lambda average: save_editor(average, options.weights or WEIGHTS))


def save_editor(editor: Editor, folder: Path) -> None:
    save("unet", editor.unet.state_dict(), folder)
    text = {f"transformer.{key}": value for key, value in editor.text.state_dict().items()}
    save("text", text | {"token_ids": editor.vocabulary.int()}, folder)


def load_exported(editor: Editor, folder: Path | None = None) -> None:
    """Weights of a folder, as a start for more training; words that they do not know start anew."""
    from .model import EMBEDDING, read_weights

    editor.unet.load_state_dict(read_weights("unet", folder))
    text = read_weights("text", folder)
    ids = text.pop("token_ids").long()
    known = torch.isin(editor.vocabulary.cpu(), ids)
    rows = editor.text.text_model.embeddings.token_embedding.weight.detach().clone()
    rows[known] = text[EMBEDDING][torch.searchsorted(ids, editor.vocabulary.cpu()[known])].to(rows)
    editor.text.load_state_dict(
        {key.removeprefix("transformer."): value for key, value in (text | {EMBEDDING: rows}).items()}
    )


if __name__ == "__main__":
    main()
