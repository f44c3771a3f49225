"""An edit on SD1.5's InstructPix2Pix at its real size (860 M parameters), with random weights, in the real host."""

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from demo.host import load_pack, use_host

TOKENS, WIDTH = 77, 768
STRENGTH = 0.9  # the default of LIMEAttnRegularizeModel
WORDS, END = (3, 4), 5  # columns of an instruction like "make the hat red"
UNET = {
    "image_size": 32,
    "use_spatial_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": (1, 2, 4, 4),
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "use_linear_in_transformer": False,
    "context_dim": WIDTH,
}


def host() -> SimpleNamespace:
    """The host's modules and the pack's nodes."""
    use_host()
    import comfy.model_management
    import comfy.samplers
    import comfy_extras.nodes_custom_sampler as custom

    lime = load_pack()
    package = lime["LIMEProbe"].__module__.rsplit(".", 1)[0]
    import sys

    return SimpleNamespace(
        samplers=comfy.samplers,
        custom=custom,
        device=comfy.model_management.get_torch_device(),
        lime=SimpleNamespace(**lime),
        Tokens=sys.modules[f"{package}.sockets"].Tokens,
        hooks=sys.modules[f"{package}.attention_hooks"],
    )


def random_model(seed: int = 0) -> Any:
    """ModelPatcher; fp16 on a GPU, fp32 on a CPU."""
    import comfy.model_base
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    device = comfy.model_management.get_torch_device()
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    config = comfy.supported_models.SD15_instructpix2pix(UNET | {"dtype": dtype})
    model = comfy.model_base.SD15_instructpix2pix(config, device=device)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.diffusion_model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=math.prod(weight.shape[1:]) ** -0.5)
            else:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


@dataclass
class Sd15Edit:
    """Pictures of side x side pixels, edited by one instruction with DualCFGGuider and euler."""

    host: SimpleNamespace
    model: Any
    side: int = 256
    images: int = 1
    steps: int = 30
    scales: tuple[float, float] = (5.5, 1.5)
    text: Tensor = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.text, self.empty = torch.randn(2, 1, TOKENS, WIDTH, generator=generator)
        shape = (self.images, 4, self.side // 8, self.side // 8)
        self.picture = torch.randn(shape, generator=generator)
        self.latent = {"samples": torch.zeros(shape)}
        self.noise = self.host.custom.RandomNoise.execute(7)[0]
        self.sampler = self.host.samplers.sampler_object("euler")
        sampling = self.model.get_model_object("model_sampling")
        self.sigmas = self.host.samplers.calculate_sigmas(sampling, "normal", self.steps)
        self.region = torch.zeros(1, self.side, self.side)
        self.region[:, self.side // 4 : self.side // 2, self.side // 4 : self.side // 2] = 1
        unrelated = torch.ones(TOKENS, dtype=torch.bool)
        unrelated[[*WORDS, END]] = False
        self.tokens = self.host.Tokens("make the hat red", ("hat", "red"), WORDS, unrelated, self.text)

    def guider(self, model: Any = None) -> Any:
        image = {"concat_latent_image": self.picture}
        conds = ([[self.text, image]], [[self.empty, image]], [[self.empty, {}]])
        return self.host.custom.DualCFGGuider.execute(model or self.model, *conds, *self.scales, "regular")[0]

    def sample(self, model: Any = None, steps: slice = slice(None), start: dict | None = None) -> Tensor:
        """Latents after the given part of the schedule's sigmas, from noise or from the latent `start`."""
        noise = self.host.custom.DisableNoise.execute()[0] if start else self.noise
        output = self.host.custom.SamplerCustomAdvanced.execute(
            noise, self.guider(model), self.sampler, self.sigmas[steps], start or self.latent
        )
        return output[0]["samples"]

    def regularized(self, region: Tensor | None = None) -> Any:
        mask = self.region if region is None else region
        node = self.host.lime.LIMEAttnRegularizeModel
        return node.execute(self.model, mask, self.tokens, STRENGTH, 0.0, 0.9, "all")[0]

    def probe(self, steps: int = 11) -> Any:
        return self.host.lime.LIMEProbe.execute(
            self.guider(), self.noise, self.sampler, self.sigmas, self.latent, steps, "last step"
        )

    def find(self, capture: Any) -> Tensor:
        """The region of a capture, MASK [B, H, W]."""
        segments = self.host.lime.LIMEFeatureCluster.execute(capture, 16, 0)[0]
        return self.host.lime.LIMEAttentionRoI.execute(capture, segments, self.tokens, "recommended", 0.6, 100)[0]

    def one_pass(self) -> Tensor:
        capture, latent, _ = self.probe().args
        return self.sample(self.regularized(self.find(capture)), slice(11, None), latent)

    def two_pass(self) -> Tensor:
        return self.sample(self.regularized(self.find(self.probe()[0])))


class Published:
    """What the published method makes the model compute, restated plainly: every attention's probabilities in full."""

    def __init__(self, edit: Sd15Edit) -> None:
        self.edit = edit
        self.blocks = edit.host.hooks.cross_attention_blocks(edit.model)
        self.kept: dict[Any, Tensor] = {}
        self.recording = self.masking = False

    def attention(self, q: Tensor, k: Tensor, v: Tensor, extra: dict, kind: str) -> Tensor:
        heads = extra["n_heads"]
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1) for t in (q, k, v))
        bias = torch.zeros(1, device=q.device, dtype=q.dtype)
        pixels = q.shape[1]
        if kind == "attn2" and self.masking and pixels > 256:
            side = math.isqrt(pixels)
            here = torch.nn.functional.interpolate(self.edit.region[:, None], (side, side)).flatten().to(q)
            bias = torch.zeros(len(q), pixels, k.shape[1], device=q.device, dtype=q.dtype)
            bias[:, :, self.edit.tokens.unrelated.to(q.device)] = here[:, None] * -torch.finfo(q.dtype).max
        probabilities = torch.baddbmm(bias.expand(len(q), pixels, k.shape[1]), q, k.mT, alpha=q.shape[-1] ** -0.5)
        probabilities = probabilities.softmax(-1)
        if kind == "attn2" and self.recording and pixels < 4096:
            self.kept[extra["block"], kind] = probabilities[:heads]
        out = torch.bmm(probabilities, v)
        return out.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)

    def output(self, n: Tensor, extra: dict) -> Tensor:
        if self.recording and n.shape[1] < 4096:
            self.kept[extra["block"], len(self.kept)] = n[1:2]
        return n

    def two_pass(self) -> None:
        from functools import partial

        model = self.edit.model.clone()
        for part, number, _ in self.blocks:
            for kind in ("attn1", "attn2"):
                place = getattr(model, f"set_model_{kind}_replace")
                place(partial(self.attention, kind=kind), part, number)
        model.set_model_attn1_output_patch(self.output)
        model.set_model_attn2_output_patch(self.output)
        for self.masking in (False, True):
            for self.recording, steps in ((True, slice(0, 12)), (False, slice(11, None))):
                # Two calls, for the recording's range; a step's cost does not depend on what it starts from.
                self.edit.sample(model, steps)
                self.kept.clear()
