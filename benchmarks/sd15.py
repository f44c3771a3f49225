"""An edit on SD1.5's InstructPix2Pix at its real size (860 M parameters), with random weights, in the real host."""

import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from demo.host import pack_module, use_host

TEXT_GUIDANCE, IMAGE_GUIDANCE = 5.5, 1.5  # of the template "2 Edit your photo", like sampler and schedule
SCHEDULE = 30  # its steps
WIDTH = 768  # of the text embedding
CHANNELS = 320
UNET = {
    "image_size": 32,
    "use_spatial_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "in_channels": 8,
    "out_channels": 4,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": (1, 2, 4, 4),
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "use_linear_in_transformer": False,
    "context_dim": WIDTH,
}


@cache
def host() -> SimpleNamespace:
    """The host's modules and those of the loaded pack."""
    use_host()
    import comfy.ldm.modules.attention
    import comfy.model_management
    import comfy.samplers
    import comfy.utils
    import comfy_extras.nodes_custom_sampler as custom

    comfy.utils.set_progress_bar_enabled(False)
    names = ("lime_ops", "nodes.sockets", "nodes.region")
    hooks = ("families", "text_columns", "probe", "regularizer", "keep_outside")
    pack = {name.split(".")[-1]: pack_module(name) for name in (*names, *(f"nodes.hooks.{h}" for h in hooks))}
    return SimpleNamespace(
        samplers=comfy.samplers,
        custom=custom,
        device=comfy.model_management.get_torch_device(),
        attention=comfy.ldm.modules.attention.optimized_attention.__name__,
        **pack,
    )


def random_model(channels: int = CHANNELS, seed: int = 0) -> Any:
    """ModelPatcher; fp16 on a GPU, fp32 on a CPU. channels: of its finest layers; SD1.5 has 320."""
    device = host().device
    import comfy.model_base
    import comfy.model_patcher
    import comfy.supported_models

    dtype = torch.float32 if device.type == "cpu" else torch.float16
    config = comfy.supported_models.SD15_instructpix2pix(UNET | {"model_channels": channels, "dtype": dtype})
    config.unet_config.update(config.unet_extra_config)  # SD1.5's 8 heads
    model = comfy.model_base.SD15_instructpix2pix(config, device=device)
    fill(model.diffusion_model, seed)
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


def fill(network: torch.nn.Module, seed: int = 0) -> None:
    """Random weights of about the size that training starts from."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=math.prod(weight.shape[1:]) ** -0.5)
            else:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)


def regions(side: int) -> dict[str, Tensor]:
    """MASKs [1, side, side] by name: a square, half of the picture, all of it, and a ramp from 0 to 1."""
    square = torch.zeros(1, side, side)
    square[:, side // 4 : side // 2, side // 4 : side // 2] = 1
    half = torch.zeros(1, side, side)
    half[..., : side // 2] = 1
    ramp = torch.linspace(0, 1, side).expand(1, side, side).contiguous()
    return {"6_percent": square, "50_percent": half, "100_percent": torch.ones(1, side, side), "soft": ramp}


class Edit:
    """`images` pictures of side x side pixels, edited by one instruction as the template "2 Edit your photo" does.

    Settings are RECOMMENDED, which are the nodes' defaults. Encoding and decoding are left out of every edit, the plain
    one too. steps: of the whole edit; the probe gets its share of them, rounded (11 of 30). text: its tokens and width;
    channels: of the latent, followed by its frames if it has any.
    """

    def __init__(
        self,
        model: Any,
        side: int,
        images: int = 1,
        steps: int = SCHEDULE,
        text: tuple[int, int] = (77, WIDTH),
        channels: tuple[int, ...] = (4,),
    ) -> None:
        self.host, self.model, self.side = host(), model, side
        recommended = self.host.lime_ops.RECOMMENDED
        self.settings = replace(recommended, steps=round(recommended.steps * steps / SCHEDULE))
        generator = torch.Generator().manual_seed(1)
        self.text, self.empty = torch.randn(2, 1, *text, generator=generator)
        shape = (images, *channels, side // 8, side // 8)
        self.source = torch.randn(shape, generator=generator)
        self.picture, self.decoded = torch.rand(2, images, side, side, 3, generator=generator)
        self.latent = {"samples": torch.zeros(shape)}
        self.noise = self.host.custom.RandomNoise.execute(7)[0]
        self.sampler = self.host.samplers.sampler_object("euler")
        sampling = model.get_model_object("model_sampling")
        self.sigmas = self.host.samplers.calculate_sigmas(sampling, "normal", steps)
        words = ("make", "the", "hat", "red")
        self.instruction = self.host.sockets.Instruction(
            " ".join(words), (0, 5, 9, 13), words, (1, 2, 3, 4), (5,), (0,), self.text, self.settings
        )
        self.tokens = self.host.text_columns.choose_words(self.instruction)

    def guider(self, model: Any = None) -> Any:
        image = {"concat_latent_image": self.source}
        conds = ([[self.text, image]], [[self.empty, image]], [[self.empty, {}]])
        scales = (TEXT_GUIDANCE, IMAGE_GUIDANCE)
        return self.host.custom.DualCFGGuider.execute(model or self.model, *conds, *scales, "regular")[0]

    def sample(self, model: Any = None, steps: slice = slice(None), start: dict | None = None) -> dict:
        """LATENT after the given steps, from noise or from the LATENT `start`."""
        noise = self.host.custom.DisableNoise.execute()[0] if start else self.noise
        sigmas = self.sigmas[steps.start : None if steps.stop is None else steps.stop + 1]
        return self.host.custom.SamplerCustomAdvanced.execute(
            noise, self.guider(model), self.sampler, sigmas, start or self.latent
        )[0]

    def probe(self, steps: int | None = None) -> tuple[Any, dict]:
        """(capture, noisy LATENT) after the probe's steps, or after so many."""
        settings = self.settings if steps is None else replace(self.settings, steps=steps)
        return self.host.probe.probe(
            self.guider(), self.noise, self.sampler, self.sigmas, self.latent, self.picture, self.instruction, settings
        )

    def find(self, capture: Any) -> Tensor:
        """The region of a capture, MASK [B, H, W]."""
        segments = self.host.region.segment(capture, self.settings, 0)
        return self.host.region.locate(capture, segments, self.tokens, self.settings)[0].float()

    def local_model(self, mask: Tensor) -> Any:
        """The model regularised inside the mask, and the source kept outside."""
        regularized = self.host.regularizer.regularize_model(self.model, mask, self.tokens, self.settings)
        return self.host.keep_outside.keep_outside_model(regularized, mask)

    def one_pass(self) -> Tensor:
        """IMAGE: go on from the probe's latent."""
        capture, noisy = self.probe()
        return self._finish(capture, slice(self.settings.steps, None), noisy)

    def two_passes(self) -> Tensor:
        """IMAGE: sample again from the start."""
        return self._finish(self.probe()[0], slice(None), None)

    def _finish(self, capture: Any, steps: slice, start: dict | None) -> Tensor:
        mask = self.find(capture)
        self.sample(self.local_model(mask), steps, start)
        return self.host.lime_ops.paste_back(self.picture, self.decoded, mask, self.settings.feather)[0]
