"""An edit on a small model of any family, and the same with dense attention."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import torch
from small_models import Case, random, small_model

STEPS = 3
WORDS = (2, 3, 5)
INSTRUCTION = {"basic": 0, "cfg": 0, "dual": 2}  # number of its conditioning, as the host hands it over


@dataclass
class Edit:
    host: SimpleNamespace
    case: Case
    guider: str = "cfg"
    images: int = 1
    tokens: int = 9
    others: int = 7  # tokens of the other texts
    model: object = None

    def __post_init__(self):
        case = self.case
        self.model = self.model or small_model(case)
        frames = (1,) if case.frames else ()
        self.references = [random(5 + i, 1, case.channels, *frames, 12, 16) for i in range(case.references)]
        if case.size[0] < 12:
            self.references = [reference[..., ::2, ::2] for reference in self.references]
        self.source = random(15, self.images, case.channels, *frames, *case.size)
        self.latent = {"samples": torch.zeros(self.images, case.channels, *frames, *case.size)}
        self.text, self.empty = random(1, 1, self.tokens, 24), random(2, 1, self.others, 24)
        sampling = self.model.get_model_object("model_sampling")
        self.sigmas = self.host.samplers.calculate_sigmas(sampling, "simple", STEPS)
        self.sampler = self.host.samplers.sampler_object("euler")
        self.noise = self.host.custom.RandomNoise.execute(7)[0]

    def conditioning(self, text):
        more = {"reference_latents": self.references} if self.references else {}
        more |= {"attention_mask": torch.ones(1, text.shape[1], dtype=torch.long)} if self.case.mask else {}
        return [[text, {"pooled_output": random(9, 1, 16), "guidance": 2.5} | more]]

    def make_guider(self, model=None):
        model, custom = model or self.model, self.host.custom
        positive, empty = self.conditioning(self.text), self.conditioning(self.empty)
        if self.guider == "dual":
            return custom.DualCFGGuider.execute(model, positive, empty, empty, 3.0, 1.5, "regular")[0]
        if self.guider == "cfg":
            return custom.CFGGuider.execute(model, positive, empty, 2.0)[0]
        return custom.BasicGuider.execute(model, positive)[0]

    def sample(self, model=None, steps=STEPS):
        graph = (self.noise, self.make_guider(model), self.sampler, self.sigmas[: steps + 1], self.latent)
        return self.host.custom.SamplerCustomAdvanced.execute(*graph)[0]["samples"]

    def instruction(self, witness=None, apart=False):
        settings = replace(self.host.ops.RECOMMENDED, witness=witness, layers_apart=apart)
        starts, pieces = (0, 5, 9, 13), ("make", "the", "hat", "red")
        return self.host.sockets.Instruction(
            "make the hat red", starts, pieces, (2, 3, 4, 5), (6,), (), self.text, settings
        )

    def words(self):
        unrelated = torch.ones(self.tokens, dtype=torch.bool)
        unrelated[list(WORDS)] = False
        return self.host.sockets.Tokens(self.instruction(), ("hat", "red"), WORDS, unrelated)

    def probe(self, witness=None, model=None, steps=STEPS - 1, source=None, apart=False):
        graph = (self.make_guider(model), self.noise, self.sampler, self.sigmas, self.latent)
        source = None if source is None else {"samples": source}
        return self.host.lime.LIMEProbe.execute(
            *graph, self.instruction(witness, apart), steps, "last step", None, source=source
        )

    def finish(self, probe, model=None):
        still = self.host.custom.DisableNoise.execute()[0]
        graph = (still, self.make_guider(model), self.sampler, probe[2], probe[1])
        return self.host.custom.SamplerCustomAdvanced.execute(*graph)[0]["samples"]

    def regularize(self, mask, strength=1.0, model=None, tokens=None):
        given = (model or self.model, mask, tokens or self.words(), strength, 0.0, 1.0, "all")
        return self.host.lime.LIMEAttnRegularizeModel.execute(*given)[0]

    def keep(self, mask, model=None, latent=None):
        latent = None if latent is None else {"samples": latent}
        return self.host.lime.LIMEKeepOutside.execute(model or self.model, mask, latent)[0]

    def picture_mask(self, region):
        """A region on the tokens' grid [B, *grid] as a mask of the picture, which cuts the last ones."""
        pixels = 16 if self.case.size == self.case.grid else 8
        height, width = (pixels * n for n in self.case.size)
        return region.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :height, :width]


@dataclass
class Dense:
    """The whole attention in double precision, in place of the host's; regularised, and taken down."""

    this: Edit
    region: torch.Tensor | None = None  # [1 or B, *grid]
    strength: float = 0.0
    attention: dict = field(default_factory=dict)  # of the instruction's rows among text tokens, by layer
    joint: dict = field(default_factory=dict)  # the same among all tokens
    similarity: dict = field(default_factory=dict)  # of those rows' outputs, pictures' and text tokens'
    outputs: dict = field(default_factory=dict)  # of the others'
    layers: int = 0

    def on_the_model(self):
        model = self.this.model.clone()
        model.model_options["transformer_options"]["optimized_attention_override"] = self.override
        model.add_wrapper_with_key("apply_model", "dense", self.apply_model)
        return model

    def apply_model(self, executor, *args, **kwargs):
        self.layers = 0
        return executor(*args, **kwargs)

    def override(self, function, q, k, v, heads, mask=None, **kwargs):
        case, options = self.this.case, kwargs["transformer_options"]
        which, ours = options["cond_or_uncond"], INSTRUCTION[self.this.guider]
        tokens = self.this.tokens if ours in which else self.this.others
        pixels = case.grid[0] * case.grid[1]
        start = case.text_tokens(tokens) + case.before
        if q.shape[2] != start + pixels + case.behind:
            return function(q, k, v, heads, mask=mask, **kwargs)
        text = slice(case.first(tokens), case.first(tokens) + tokens)
        picture = slice(start, start + pixels)
        if k.shape[1] < q.shape[1]:
            k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
        scores = q.double() @ k.double().mT * q.shape[-1] ** -0.5
        size = len(q) // len(which)
        for i, number in enumerate(which):
            rows = slice(i * size, (i + 1) * size)
            if number == ours and self.region is not None:
                share = self.strength * self.region.flatten(1).double().expand(size, -1)
                unrelated = torch.zeros(case.text_tokens(tokens), dtype=torch.bool)  # padding may act
                unrelated[text] = True
                unrelated[[text.start + word for word in WORDS]] = False
                bias = torch.log1p(-share)[:, None, :, None] * unrelated
                scores[rows, :, picture, : len(unrelated)] += bias.nan_to_num(nan=0.0)
        out = (scores.softmax(-1) @ v.double()).transpose(1, 2).flatten(2).to(q.dtype)
        if ours in which:
            rows = slice(which.index(ours) * size, (which.index(ours) + 1) * size)
            among, double = slice(0, text.stop), out[rows].double()
            alone = scores[rows, :, picture, among].softmax(-1).mean(1)[..., text]
            shared = scores[rows, :, picture].softmax(-1).mean(1)[..., text]
            alike = (double[:, picture] @ double[:, among].mT / double.shape[-1] ** 0.5).softmax(-1)[..., text]
            for kept, map in ((self.attention, alone), (self.joint, shared), (self.similarity, alike)):
                kept[self.layers] = map.float().unflatten(1, case.grid)
        if which != [ours] or self.this.guider == "basic":
            other = 0 if self.this.guider == "basic" else next(i for i, n in enumerate(which) if n != ours)
            rows = slice(other * size, (other + 1) * size)
            self.outputs[self.layers] = out[rows, picture].unflatten(1, case.grid)
        self.layers += 1
        return out
