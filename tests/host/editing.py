"""A complete edit on a random small model, in the host's own guiders and samplers."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import torch

from random_model import random_model, random_text


@dataclass
class Edit:
    """Everything one edit needs; h x w latents, `images` in the batch."""

    host: SimpleNamespace
    model: object
    size: tuple[int, int] = (16, 16)
    images: int = 1
    steps: int = 4
    guider: str = "dual"
    scales: tuple[float, float] = (5.0, 1.5)
    tokens: int = 77
    sampler: str = "euler"
    published: bool = False
    more: dict = field(default_factory=dict)  # of every conditioning

    def __post_init__(self):
        modules = self.model.model.diffusion_model.named_modules()
        width = next(module.to_k.in_features for name, module in modules if name.endswith("attn2"))
        self.text = random_text(1, self.tokens, width)
        self.empty = random_text(2, 77, width)
        generator = torch.Generator().manual_seed(3)
        self.concat = torch.randn(self.images, 4, *self.size, generator=generator)
        self.latent = {"samples": torch.zeros(self.images, 4, *self.size)}
        self.noise = self.host.custom.RandomNoise.execute(7)[0]
        self.sampler_object = self.host.samplers.sampler_object(self.sampler)
        sampling = self.model.get_model_object("model_sampling")
        self.sigmas = self.host.samplers.calculate_sigmas(sampling, "normal", self.steps)

    def instruction_of(self):
        """LIME_INSTRUCTION of this edit, as LIMEInstruction would give it."""
        settings = self.host.ops.PUBLISHED if self.published else self.host.ops.RECOMMENDED
        starts, pieces, columns = (0, 5, 9, 13), ("make", "the", "hat", "red"), (1, 2, 3, 4)
        text, ends, begins = "make the hat red", (5,), (0,)
        return self.host.sockets.Instruction(text, starts, pieces, columns, ends, begins, self.text, settings)

    def tokens_of(self, words=(2, 3)):
        """LIME_TOKENS of this edit's instruction in which these columns locate and may act."""
        unrelated = torch.ones(self.text.shape[1], dtype=torch.bool)
        unrelated[list(words)] = False
        return self.host.sockets.Tokens(self.instruction_of(), ("hat", "red"), tuple(words), unrelated)

    def make_guider(self, model=None):
        model = model or self.model
        picture = {} if self.concat is None else {"concat_latent_image": self.concat}
        positive = [[self.text, picture | self.more]]
        image = [[self.empty, picture | self.more]]
        blank = [[self.empty, self.more]]
        if self.guider == "dual":
            return self.host.custom.DualCFGGuider.execute(model, positive, image, blank, *self.scales, "regular")[0]
        if self.guider == "cfg":
            return self.host.custom.CFGGuider.execute(model, positive, image, self.scales[0])[0]
        return self.host.custom.BasicGuider.execute(model, positive)[0]

    def sample(self, model=None):
        output = self.host.custom.SamplerCustomAdvanced.execute(
            self.noise, self.make_guider(model), self.sampler_object, self.sigmas, self.latent
        )
        return output[0]["samples"]

    def probe(self, steps=2, record="last step", guider=None, image=None, instruction=None):
        return self.host.lime.LIMEProbe.execute(
            guider or self.make_guider(),
            self.noise,
            self.sampler_object,
            self.sigmas,
            self.latent,
            instruction or self.instruction_of(),
            steps,
            record,
            image,
        )

    def finish(self, probe, model=None):
        """Continue from a probe's latent and sigmas."""
        output = self.host.custom.SamplerCustomAdvanced.execute(
            self.host.custom.DisableNoise.execute()[0], self.make_guider(model), self.sampler_object, probe[2], probe[1]
        )
        return output[0]["samples"]

    def regularize(self, mask, tokens=None, strength=1.0, start=0.0, end=1.0, branches="all", model=None):
        return self.host.lime.LIMEAttnRegularizeModel.execute(
            model or self.model, mask, tokens or self.tokens_of(), strength, start, end, branches
        )[0]


def edit(host, seed=0, model=None, **options) -> Edit:
    names = ("dtype", "channels", "heads", "context", "in_channels", "levels", "middle")
    model = model or random_model(seed, **{k: options.pop(k) for k in names if k in options})
    return Edit(host, model, **options)
