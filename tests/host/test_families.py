"""Every family of transformers: recording, regularising and keeping the outside against dense restatements."""

from dataclasses import replace

import pytest
import torch
from family_edit import STEPS, Dense, Edit
from small_models import CASES

from demo.host import pack_module
from lime_ops import feature_grams

TOLERANCE = 1e-5  # relative, as norms; the model's own rounding against double precision is 3e-7


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


@pytest.mark.parametrize("witness", ["joint attention", "outputs"])
def test_other_witnesses_record_what_the_whole_attention_shows(this, witness):
    probe = this.probe(witness)
    dense = Dense(this)
    this.sample(dense.on_the_model(), STEPS - 1)
    maps = dense.joint if witness == "joint attention" else dense.similarity
    (got,) = probe[0].attention
    assert_same(got, sum(maps.values()) / len(maps))
    assert torch.equal(probe[1]["samples"], this.sample(steps=STEPS - 1))
    apart = this.probe(witness, apart=True)[0].attention
    assert len(apart) == len(maps)
    for layer, wanted in zip(apart, maps.values(), strict=True):
        assert_same(layer, wanted)


def test_an_empty_latent_is_probed_at_the_size_that_it_is_sampled_at(host):
    this = Edit(host, CASES["Flux.2"])
    this.latent = host.nodes.EmptyLatentImage().generate(128, 192)[0]  # 8 pixels to a latent pixel, the model has 16
    assert torch.equal(this.probe()[1]["samples"], this.sample(steps=STEPS - 1))


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


def test_an_empty_batch_is_refused(host, case):
    this = Edit(host, case)
    mask = this.picture_mask(some_region(case))
    this.latent = {"samples": this.latent["samples"][:0]}
    with pytest.raises(ValueError, match="latent_image has no images"):
        this.probe(source=this.source)
    for model in (this.regularize(mask), this.keep(mask, latent=this.source)):
        with pytest.raises(ValueError, match="the latent has no images"):
            this.sample(model)


def test_a_source_of_another_autoencoder_is_refused_before_sampling(host, case, monkeypatch):
    this = Edit(host, case)
    mask = this.picture_mask(some_region(case))
    monkeypatch.setattr(this.model.model, "apply_model", lambda *args, **kwargs: pytest.fail("it sampled"))
    for source in (this.source[:, :4], this.source[:0]):
        with pytest.raises(ValueError, match=rf"of {source.shape[1]} channels but the model samples {case.channels}"):
            this.probe(source=source)
        with pytest.raises(ValueError, match="the source's latent has"):
            this.sample(this.keep(mask, latent=source))


def test_tokens_of_another_instruction_are_refused(this):
    """Longer or shorter ones, whose columns would not exist here."""
    probe, mask = this.probe(source=this.source), this.picture_mask(some_region(this.case))
    segments = this.host.lime.LIMEFeatureCluster.execute(probe[0], 4, 0)[0]
    for tokens in (this.tokens - 4, this.tokens + 4):
        other = Edit(this.host, this.case, tokens=tokens, model=this.model).instruction()
        foreign = this.words()._replace(instruction=other, unrelated=torch.ones(tokens, dtype=torch.bool))
        with pytest.raises(ValueError, match="the instruction is another than the one that is sampled"):
            this.sample(this.regularize(mask, tokens=foreign))
        with pytest.raises(ValueError, match="the probe did not sample the instruction"):
            this.host.lime.LIMEAttentionRoI.execute(probe[0], segments, foreign, 1.0, 100)
        with pytest.raises(ValueError, match=rf"tokens has {tokens} columns but its instruction has {this.tokens}"):
            this.regularize(mask, tokens=foreign._replace(instruction=this.instruction()))


def test_strength_zero_and_an_empty_region_change_no_bit(this):
    mask, plain = this.picture_mask(some_region(this.case)), this.sample()
    assert torch.equal(this.sample(this.regularize(mask, 0.0)), plain)
    assert torch.equal(this.sample(this.regularize(torch.zeros_like(mask))), plain)


def assert_keeps_the_source(got, this):
    """In the last latent pixels, which neither a region nor the half pixel around it touches."""
    wanted = fitted(this.references[0], this) if this.references else this.source
    tolerance = 1e-6 * wanted.abs().max().item()
    torch.testing.assert_close(got[..., -3:, :], wanted[..., -3:, :], atol=tolerance, rtol=0)


def kept_region(case):
    region = torch.zeros(1, *case.grid)
    region[:, :4] = 1
    return region


def test_keeps_the_source_outside(this):
    mask = this.picture_mask(kept_region(this.case))
    source = this.source if not this.references else None
    assert_keeps_the_source(this.sample(this.keep(mask, latent=source)), this)


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
    assert_keeps_the_source(this.sample(model) if passes == 2 else this.finish(probe, model), this)


def test_one_pass_gives_what_sampling_in_one_go_gives(this):
    assert_same(this.finish(this.probe(source=this.source)), this.sample())


def test_nothing_is_left_on_the_model(this):
    before = this.sample()
    this.probe("attention")
    this.sample(this.regularize(this.picture_mask(some_region(this.case))))
    assert torch.equal(this.sample(), before)
    assert not this.model.wrappers and not this.model.model_options["transformer_options"]


def out_of_reach(this):
    """The edit on a model whose network is of a class that no family knows."""
    this = replace(this, model=this.model.clone())
    network = this.model.get_model_object("diffusion_model")
    this.model.add_object_patch("diffusion_model", Stranger(network))
    return this


class Stranger(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network, self.dtype = network, torch.float32

    def forward(self, *args, **kwargs):
        return self.network(*args, **kwargs)


def test_any_other_model_finds_a_region_and_keeps_the_outside_but_is_not_regularised(host):
    this = out_of_reach(Edit(host, CASES["Flux.1 Kontext"]))
    capture = this.probe()[0]
    assert not capture.attention and capture.change.max() == 1 and capture.grams[0].size == this.case.size
    segments = host.lime.LIMEFeatureCluster.execute(capture, 4, 0)[0]
    mask = host.lime.LIMEAttentionRoI.execute(capture, segments, this.words(), 1.0, 100)[0]
    assert 0 < mask.float().mean() < 1
    mask = this.picture_mask(kept_region(this.case))
    with pytest.raises(ValueError, match="LIME does not reach the attention of Stranger"):
        this.regularize(mask)
    assert_keeps_the_source(this.sample(this.keep(mask)), this)


def test_a_mixture_asks_the_words_and_the_estimate(host):
    this = Edit(host, CASES["Flux.1 Kontext"])
    attention, estimate, mixture = (this.probe(witness)[0] for witness in ("attention", "estimate", "mixture"))
    assert torch.equal(mixture.attention[0], attention.attention[0]) and torch.equal(mixture.change, estimate.change)
    segments = host.lime.LIMEFeatureCluster.execute(mixture, 4, 0)[0]
    words = this.words()
    module = pack_module("nodes.region")

    def heat(capture):
        tokens = words._replace(instruction=capture.instruction)
        return module.locate(capture, segments._replace(capture=capture), tokens, capture.instruction.settings)[1]

    torch.testing.assert_close(heat(mixture), host.ops.mix_witnesses(heat(attention), heat(estimate)))


def test_without_a_source_the_attention_says_where_or_the_model_is_refused(host):
    this = Edit(host, replace(CASES["Flux.1 Kontext"], references=0, behind=0))
    assert this.probe()[0].change is None
    for witness in ("estimate", "mixture"):
        with pytest.raises(ValueError, match="nothing tells where Flux edits"):
            this.probe(witness)
    with pytest.raises(ValueError, match="nothing tells where Stranger edits"):
        out_of_reach(this).probe()


def test_a_control_map_is_not_taken_for_the_picture(host):
    case = CASES["Flux.1 Kontext"]
    this = Edit(
        host, replace(case, unet=case.unet | {"in_channels": 2 * case.unet["in_channels"]}, references=0, behind=0)
    )
    control = {"concat_latent_image": torch.randn(1, *this.source.shape[1:])}  # as FLUX.1 Canny's and Depth's come
    plain = this.conditioning
    this.conditioning = lambda text: [[text, plain(text)[0][1] | control]]
    assert this.probe()[0].change is None
    mask = torch.zeros(1, *(8 * side for side in case.size))
    with pytest.raises(ValueError, match="no conditioning carries the source picture"):
        this.sample(this.keep(mask))
    kept = this.sample(this.keep(mask, latent=this.source))
    torch.testing.assert_close(kept, this.source, atol=1e-5, rtol=1e-5)


def test_the_published_setting_is_refused_where_attention_is_out_of_reach(host):
    with pytest.raises(ValueError, match="does not reach the attention of Stranger: expected the early estimate"):
        out_of_reach(Edit(host, CASES["Flux.1 Kontext"])).probe("attention")


def test_a_node_that_skips_evaluations_is_named(host):
    from comfy_extras.nodes_easycache import EasyCacheNode

    this = Edit(host, CASES["Flux.1 Kontext"])
    model = EasyCacheNode.execute(this.model, 1e9, 0.0, 1.0, False)[0]
    with pytest.raises(RuntimeError, match=r"skips evaluations \(EasyCache"):
        this.sample(this.regularize(this.picture_mask(some_region(this.case)), model=model))


def test_a_sequence_of_another_length_is_refused(host):
    this = Edit(host, CASES["Flux.1 Kontext"])
    model = this.model.clone()

    def with_more(args):
        more = args["img"][:, :3]
        return args | {
            "img": torch.cat([args["img"], more], 1),
            "img_ids": torch.cat([args["img_ids"], args["img_ids"][:, :3]], 1),
        }

    model.set_model_patch(with_more, "post_input")
    with pytest.raises(RuntimeError, match=r"no attention over 147 or 99 tokens .* was seen"):
        this.sample(this.regularize(this.picture_mask(some_region(this.case)), model=model))
