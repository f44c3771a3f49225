"""Every family of transformers: recording, regularising and keeping the outside against dense restatements."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
import torch
from small_models import CASES, Case, random, small_model

from lime_ops import feature_grams

STEPS = 3
WORDS = (2, 3, 5)
INSTRUCTION = {"basic": 0, "cfg": 0, "dual": 2}  # number of its conditioning, as the host hands it over
TOLERANCE = 1e-5  # relative, as norms; the model's own rounding against double precision is 3e-7


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

    def instruction(self, witness=None):
        settings = replace(self.host.ops.RECOMMENDED, witness=witness)
        starts, pieces = (0, 5, 9, 13), ("make", "the", "hat", "red")
        return self.host.sockets.Instruction(
            "make the hat red", starts, pieces, (2, 3, 4, 5), (6,), self.text, settings
        )

    def words(self):
        unrelated = torch.ones(self.tokens, dtype=torch.bool)
        unrelated[list(WORDS)] = False
        return self.host.sockets.Tokens(self.instruction(), ("hat", "red"), WORDS, unrelated)

    def probe(self, witness=None, model=None, steps=STEPS - 1, source=None):
        graph = (self.make_guider(model), self.noise, self.sampler, self.sigmas, self.latent)
        source = None if source is None else {"samples": source}
        return self.host.lime.LIMEProbe.execute(
            *graph, self.instruction(witness), steps, "last step", None, source=source
        )

    def finish(self, probe, model=None):
        still = self.host.custom.DisableNoise.execute()[0]
        graph = (still, self.make_guider(model), self.sampler, probe[2], probe[1])
        return self.host.custom.SamplerCustomAdvanced.execute(*graph)[0]["samples"]

    def regularize(self, mask, strength=1.0, model=None):
        given = (model or self.model, mask, self.words(), strength, 0.0, 1.0, "all")
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
    attention: dict = field(default_factory=dict)  # of the instruction's rows, by layer
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
                unrelated = torch.ones(case.text_tokens(tokens), dtype=torch.bool)
                unrelated[[text.start + word for word in WORDS]] = False
                if text.start == 0:
                    unrelated[tokens:] = False  # padding behind a text is the model's own
                bias = torch.log1p(-share)[:, None, :, None] * unrelated
                scores[rows, :, picture, : len(unrelated)] += bias.nan_to_num(nan=0.0)
        if ours in which:
            rows = slice(which.index(ours) * size, (which.index(ours) + 1) * size)
            among = slice(0, text.stop)
            alone = scores[rows, :, picture, among].softmax(-1).mean(1)[..., text]
            self.attention[self.layers] = alone.float().unflatten(1, case.grid)
        out = (scores.softmax(-1) @ v.double()).transpose(1, 2).flatten(2).to(q.dtype)
        if which != [ours] or self.this.guider == "basic":
            other = 0 if self.this.guider == "basic" else next(i for i, n in enumerate(which) if n != ours)
            rows = slice(other * size, (other + 1) * size)
            self.outputs[self.layers] = out[rows, picture].unflatten(1, case.grid)
        self.layers += 1
        return out


def assert_same(got, wanted):
    assert (got - wanted).norm() < TOLERANCE * wanted.norm()


def some_region(case, images=1):
    region = torch.zeros(images, *case.grid)
    for i in range(images):
        region[i, 1 + i : 6, 2:7] = 1
    region[:, -1, -1] = 1  # in tokens that the picture fills in part
    return region


def another_attention(model):
    """A model with an attention override, which gets no wider heads."""
    model = model.clone()

    def override(function, *args, **kwargs):
        return function(*args, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = override
    return model


@pytest.fixture(params=CASES, scope="module")
def case(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def this(host, case):
    return Edit(host, case)


def test_records_the_attention_over_the_text_and_the_features_of_the_picture(this):
    probe = this.probe("attention")
    dense = Dense(this)
    this.sample(dense.on_the_model(), STEPS - 1)
    (got,) = probe[0].attention
    assert_same(got, sum(dense.attention.values()) / len(dense.attention))
    ((products, size, _),) = probe[0].grams
    (wanted,) = feature_grams(list(dense.outputs.values()))
    assert size == this.case.grid
    assert_same(products, wanted.products)
    assert torch.equal(probe[1]["samples"], this.sample(steps=STEPS - 1))


@pytest.mark.parametrize("strength", [0.9, 1.0])
@pytest.mark.parametrize("wider", [True, False], ids=["extra channel", "mixture"])
def test_regularises_as_a_dense_bias_does(this, wider, strength):
    region = some_region(this.case)
    region[0, 2] *= 0.5
    model = this.model if wider else another_attention(this.model)
    got = this.sample(this.regularize(this.picture_mask(region), strength, model))
    wanted = this.sample(Dense(this, region, strength).on_the_model())
    assert (got - this.sample()).norm() > 100 * TOLERANCE * wanted.norm()
    assert_same(got, wanted)


@pytest.mark.parametrize("name", ["Flux.1 Kontext", "Qwen-Image-Edit"])
@pytest.mark.parametrize("guider", ["basic", "cfg", "dual"])
@pytest.mark.parametrize("others", [7, 9], ids=["texts of two lengths", "of one length"])
def test_a_mask_for_each_image_under_every_guider(host, name, guider, others):
    this = Edit(host, CASES[name], guider=guider, images=2, others=others)
    region = some_region(this.case, images=2)
    got = this.sample(this.regularize(this.picture_mask(region), 0.8))
    assert_same(got, this.sample(Dense(this, region, 0.8).on_the_model()))
    dense = Dense(this)
    this.sample(dense.on_the_model(), STEPS - 1)
    capture = this.probe("attention")[0]
    assert_same(capture.attention[0], sum(dense.attention.values()) / len(dense.attention))
    assert_same(capture.grams[0].products, feature_grams(list(dense.outputs.values()))[0].products)


def test_strength_zero_and_an_empty_region_change_no_bit(this):
    mask, plain = this.picture_mask(some_region(this.case)), this.sample()
    assert torch.equal(this.sample(this.regularize(mask, 0.0)), plain)
    assert torch.equal(this.sample(this.regularize(torch.zeros_like(mask))), plain)


def outside_of(this):
    """Latent pixels that neither the region nor the half pixel around it touches."""
    return slice(-3, None)


def kept_region(case):
    region = torch.zeros(1, *case.grid)
    region[:, :4] = 1
    return region


def test_keeps_the_source_outside(this):
    mask = this.picture_mask(kept_region(this.case))
    source = this.source if not this.references else None
    got = this.sample(this.keep(mask, latent=source))
    wanted = this.source if source is not None else fitted(this.references[0], this)
    rows = outside_of(this)
    torch.testing.assert_close(got[..., rows, :], wanted[..., rows, :], atol=1e-6 * wanted.abs().max().item(), rtol=0)


def fitted(reference, this):
    import comfy.utils

    if reference.shape[-2:] == this.case.size:
        return reference
    return comfy.utils.common_upscale(reference, this.case.size[1], this.case.size[0], "bilinear", "center")


@pytest.mark.parametrize("passes", [1, 2])
def test_a_whole_edit(this, passes):
    source = None if this.references else this.source
    probe = this.probe(source=source)
    assert probe[0].change is not None  # until a trained model has decided, the estimate says where
    segments = this.host.lime.LIMEFeatureCluster.execute(probe[0], 4, 0)[0]
    mask = this.host.lime.LIMEAttentionRoI.execute(probe[0], segments, this.words(), 1.0, 100)[0].float()
    assert 0 < mask.mean() < 1
    mask[:, -64:] = 0
    model = this.keep(mask, this.regularize(mask, 0.9), latent=source)
    got = this.sample(model) if passes == 2 else this.finish(probe, model)
    wanted = this.source if source is not None else fitted(this.references[0], this)
    rows = outside_of(this)
    torch.testing.assert_close(got[..., rows, :], wanted[..., rows, :], atol=1e-6 * wanted.abs().max().item(), rtol=0)


def test_one_pass_gives_what_sampling_in_one_go_gives(this):
    assert_same(this.finish(this.probe(source=this.source)), this.sample())


def test_nothing_is_left_on_the_model(this):
    before = this.sample()
    this.probe("attention")
    this.sample(this.regularize(this.picture_mask(some_region(this.case))))
    assert torch.equal(this.sample(), before)
    assert not this.model.wrappers and not this.model.model_options["transformer_options"]
