"""Beside other nodes, with unusual graphs and values: works, or says so before it samples.

Neighbours are the host's own nodes where it has them, else functions that use the same hooks in the same way.
"""

import importlib

import pytest
import torch
from dense import dense_edit, left
from test_attn_regularize_model import assert_same, left_half
from torch.nn import functional as F

from editing import edit


def keep(host, model, mask, latent=None):
    return host.lime.LIMEKeepOutside.execute(model, mask, latent)[0]


def never_sampled(this, monkeypatch):
    """Fails the test when the model is evaluated."""
    monkeypatch.setattr(this.model.model, "apply_model", lambda *args, **kwargs: pytest.fail("it sampled"))


# --- patches of cross-attention ---------------------------------------------------------------------------------------


def added_tokens(count, width):
    return torch.randn(1, count, width, generator=torch.Generator().manual_seed(9))


def adding_tokens(count):
    """An attn2_patch that puts tokens of its own behind the text."""

    def patch(n, context, value, extra):
        added = added_tokens(count, context.shape[-1]).expand(context.shape[0], -1, -1)
        return n, torch.cat([context, added], 1), torch.cat([value, added], 1)

    return patch


def with_added_tokens(this, count):
    model = this.model.clone()
    model.set_model_attn2_patch(adding_tokens(count))
    return model


@pytest.mark.parametrize("count", [4, 16, 77])
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_tokens_that_another_node_adds_may_act_and_all_others_are_told_apart(host, count, strength):
    this = edit(host, steps=2)
    model = with_added_tokens(this, count)
    plain, got = this.sample(model), this.sample(this.regularize(left_half(), strength=strength, model=model))
    assert (got - plain).abs().max() > 1e-2 * plain.abs().max()
    added = added_tokens(count, this.text.shape[-1])
    assert_same(got, dense_edit(this, left, added=added, strength=strength))


@pytest.mark.parametrize("count", [4, 77])
def test_added_tokens_are_not_recorded_as_the_text_s(host, count):
    this = edit(host, heads=1)
    maps = this.probe(steps=1, guider=this.make_guider(with_added_tokens(this, count)))[0].attention
    plain = this.probe(steps=1)[0].attention
    for got, alone in zip(maps, plain, strict=True):
        shares = got.sum(-1)  # the rest went to the added tokens
        assert got.shape == alone.shape and shares.max() < 1
    first = maps[0] / maps[0].sum(-1, keepdim=True)  # of the first block, whose queries nothing changed yet
    torch.testing.assert_close(first, plain[0], atol=1e-5, rtol=1e-4)


def swapping(n, context, value, extra):
    return n, context.flip(1), value


def repeating_the_batch(n, context, value, extra):
    return n.repeat(2, 1, 1), context.repeat(2, 1, 1), value.repeat(2, 1, 1)


def halving(n, context, value, extra):
    return n, context[:, ::2], value[:, 1::2]


@pytest.mark.parametrize("patch", [swapping, repeating_the_batch, halving])
def test_a_node_that_rearranges_text_or_batch_is_refused_by_name(host, patch):
    this = edit(host)
    model = this.model.clone()
    model.set_model_attn2_patch(patch)
    message = rf"test_neighbours\.{patch.__name__} rearranges the text or the batch"
    with pytest.raises(ValueError, match=message):
        this.sample(this.regularize(left_half(), model=model))
    with pytest.raises(ValueError, match=message):
        this.probe(guider=this.make_guider(model))


def masking_tokens(q, k, v, extra):
    return F.scaled_dot_product_attention(q, k, v, torch.zeros(q.shape[1], 77))


def test_a_replacement_that_needs_all_tokens_is_named(host):
    this = edit(host)
    model = this.model.clone()
    model.set_model_attn2_replace(masking_tokens, "input", 1)
    with pytest.raises(RuntimeError, match=r"test_neighbours\.masking_tokens replaces cross-attention and failed"):
        this.sample(this.regularize(left_half(), model=model))


def patched(this, module, node, **inputs):
    node = getattr(importlib.import_module(f"comfy_extras.{module}"), node)
    run = getattr(node, "execute", None) or node().patch  # of the host's newer and older kind of node
    return run(this.model, **inputs)[0]


def with_lora(this):
    """Other weights, as a LoRA's."""
    this.model = this.model.clone()
    weights = this.model.model.state_dict()
    names = [name for name in weights if name.endswith("attn2.to_q.weight")]
    this.model.add_patches({name: ("diff", (0.5 * torch.ones_like(weights[name]),)) for name in names})


def with_freeu(this):
    this.model = patched(this, "nodes_freelunch", "FreeU_V2", b1=1.3, b2=1.4, s1=0.9, s2=0.2)


def with_a_control_net(this):
    import comfy.controlnet

    class Steers(comfy.controlnet.ControlBase):
        def get_control(self, *args):
            return {"input": [], "output": [], "middle": [torch.full((1, 96, 1, 1), 0.5)]}

    this.more["control"] = Steers()


@pytest.mark.parametrize("neighbour", [with_lora, with_freeu, with_a_control_net])
def test_what_changes_weights_or_features_keeps_working_underneath(host, neighbour):
    this = edit(host, steps=2)
    before = this.sample()
    neighbour(this)
    assert (this.sample() - before).abs().max() > 1e-3 * before.abs().max()
    assert_same(this.sample(this.regularize(left_half())), dense_edit(this, left))


# --- what acts behind the branches ------------------------------------------------------------------------------------


GUIDANCE = [
    ("nodes_sag", "SelfAttentionGuidance", {"scale": 0.5, "blur_sigma": 2.0}),
    ("nodes_pag", "PerturbedAttentionGuidance", {"scale": 3.0}),
    ("nodes_cfg", "CFGZeroStar", {}),
    ("nodes_tcfg", "TCFG", {}),
    ("nodes_model_advanced", "RescaleCFG", {"multiplier": 0.7}),
    ("nodes_eps", "EpsilonScaling", {"scaling_factor": 1.005}),
    ("nodes_mahiro", "Mahiro", {}),
]


@pytest.mark.parametrize(("module", "node", "inputs"), GUIDANCE, ids=[node for _, node, _ in GUIDANCE])
def test_guidance_behind_the_branches_does_not_move_the_outside(host, module, node, inputs):
    this = edit(host, guider="cfg")
    model = patched(this, module, node, **inputs)
    assert not torch.equal(this.sample(model), this.sample())
    got = this.sample(keep(host, model, left_half()))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-5, rtol=1e-5)


def test_a_perturbed_pass_is_not_recorded(host):
    this = edit(host, guider="cfg")
    plain = this.probe(steps=1)[0]
    model = patched(this, "nodes_pag", "PerturbedAttentionGuidance", scale=3.0)
    got = this.probe(steps=1, guider=this.make_guider(model))[0]
    assert all(torch.equal(a, b) for a, b in zip(got.attention, plain.attention, strict=True))
    assert all(torch.equal(a.products, b.products) for a, b in zip(got.grams, plain.grams, strict=True))


# --- conditionings, latents, schedules, masks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [{"area": (8, 8, 0, 0)}, {"set_area_to_bounds": True, "mask": torch.ones(1, 128, 128)}]
)
def test_a_conditioning_for_a_part_of_the_picture_is_refused(host, monkeypatch, values):
    this = edit(host)
    guider = this.make_guider()
    guider.original_conds["positive"][0].update(values)
    never_sampled(this, monkeypatch)
    with pytest.raises(ValueError, match="is set to an area"):
        this.probe(guider=guider)
    guider.model_patcher = this.regularize(left_half())
    guider.model_options = guider.model_patcher.model_options
    with pytest.raises(ValueError, match="is set to an area"):
        guider.sample(this.noise.generate_noise(this.latent), this.latent["samples"], this.sampler_object, this.sigmas)


def in_tiles(apply_model, args):
    """A model_function_wrapper that shows the model one half of the picture after the other."""
    halves = zip(args["input"].chunk(2, -1), args["c"]["c_concat"].chunk(2, -1), strict=True)
    parts = [apply_model(x, args["timestep"], **(args["c"] | {"c_concat": concat})) for x, concat in halves]
    return torch.cat(parts, -1)


def test_a_node_that_samples_in_tiles_is_refused_and_the_outside_may_be_kept(host):
    this = edit(host)
    model = this.model.clone()
    model.set_model_unet_function_wrapper(in_tiles)
    message = r"the model is given 8x16 of the latent's 16x16 pixels .* samples in tiles"
    with pytest.raises(ValueError, match=message):
        this.probe(guider=this.make_guider(model))
    with pytest.raises(ValueError, match=message):
        this.sample(this.regularize(left_half(), model=model))
    got = this.sample(keep(host, model, left_half()))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-5, rtol=1e-5)


def test_a_noise_mask_on_what_the_probe_gave_is_refused(host, monkeypatch):
    this = edit(host)
    probe = this.probe()
    never_sampled(this, monkeypatch)
    probe[1]["noise_mask"] = left_half()
    for model in (this.regularize(left_half()), keep(host, this.model, left_half())):
        with pytest.raises(ValueError, match="the latent that sampling goes on from has a noise mask"):
            this.finish(probe, model)


def test_a_noise_mask_from_the_start_keeps_its_outside(host):
    this = edit(host)
    this.latent = {"samples": this.concat, "noise_mask": left_half()}
    got = this.sample(this.regularize(left_half()))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-4, rtol=1e-4)


def test_a_noise_mask_is_refused_by_the_probe(host, monkeypatch):
    this = edit(host)
    this.latent["noise_mask"] = torch.ones(1, 128, 128)
    never_sampled(this, monkeypatch)
    with pytest.raises(ValueError, match="latent_image has a noise mask"):
        this.probe()


def test_a_second_pass_at_a_larger_size_keeps_the_resized_source(host):
    import comfy.utils

    this = edit(host)
    this.latent = {"samples": torch.zeros(1, 4, 24, 24)}
    got = this.sample(keep(host, this.model, left_half()))
    wanted = comfy.utils.common_upscale(this.concat, 24, 24, "bilinear", "center")
    torch.testing.assert_close(got[..., 14:], wanted[..., 14:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_mask_with_values_that_are_no_numbers_is_refused(host, value):
    this = edit(host)
    mask = left_half()
    mask[0, 3, 3] = value
    for refuse in (lambda: this.regularize(mask), lambda: keep(host, this.model, mask)):
        with pytest.raises(ValueError, match="mask has values that are infinite or no numbers"):
            refuse()


@pytest.mark.parametrize("size", [(8, 16), (16, 8), (24, 16), (127, 150)])
def test_a_mask_of_another_shape_is_refused_at_any_size(host, monkeypatch, size):
    this = edit(host)
    never_sampled(this, monkeypatch)
    for model in (this.regularize(torch.ones(1, *size)), keep(host, this.model, torch.ones(1, *size))):
        with pytest.raises(ValueError, match=f"mask is {size[1]}x{size[0]} but the picture that is sampled is 128x128"):
            this.sample(model)


@pytest.mark.parametrize("size", [(16, 16), (135, 128), (64, 64), (1000, 1040)])
def test_a_mask_of_the_picture_fits_at_any_size_and_where_the_encoder_cut_it(host, size):
    this = edit(host, steps=1)
    everywhere = this.sample(this.regularize(torch.ones(1, 128, 128)))
    assert torch.equal(this.sample(this.regularize(torch.ones(1, *size))), everywhere)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": -1.0}, "strength is -1.0: expected a value from 0 to 1"),
        ({"strength": 1.5}, "strength is 1.5: expected a value from 0 to 1"),
        ({"start": 0.8, "end": 0.2}, "expected 0 <= start_percent < end_percent <= 1"),
    ],
)
def test_values_that_come_by_wire_are_checked(host, values, message):
    with pytest.raises(ValueError, match=message):
        edit(host).regularize(left_half(), **values)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"clusters": 0}, "clusters is 0: expected at least 1"),
        ({"threshold": 0.0}, "threshold is 0.0: expected a value above 0, up to 1"),
        ({"threshold": 1.5}, "threshold is 1.5: expected a value above 0, up to 1"),
        ({"top_k": 0}, "top_k is 0: expected at least 1"),
        ({"setting": "paper"}, "setting is 'paper': expected one of 'recommended', 'published'"),
        ({"record": "first"}, "record is 'first': expected one of 'last step', 'mean'"),
        ({"branches": "none"}, "branches is 'none': expected one of 'all', 'instruction only'"),
        ({"feather": -1}, "border is -1"),
        ({"context": -1.0}, "context is -1.0"),
        ({"megapixels": -1.0}, "pixels is -1048576 and multiple 16"),
        ({"multiple": 0}, "pixels is 1048576 and multiple 0"),
    ],
)
def test_values_of_the_other_nodes_that_come_by_wire_are_checked(host, inputs, message):
    this, lime, picture = edit(host, published="top_k" in inputs), host.lime, torch.rand(1, 128, 128, 3)
    ((name, _),) = inputs.items()

    def find(clusters=4, **region):
        capture = this.probe()[0]
        segments = lime.LIMEFeatureCluster.execute(capture, clusters)[0]
        lime.LIMEAttentionRoI.execute(capture, segments, this.tokens_of(), **region)

    run = {
        "setting": lambda **given: lime.LIMEInstruction.execute(lime.LIMEDemoModel.execute()[1], "a hat", **given),
        "record": this.probe,
        "branches": lambda **given: this.regularize(left_half(), **given),
        "feather": lambda **given: lime.LIMEPasteBack.execute(picture, picture, left_half(), **given),
        "context": lambda **given: lime.LIMECropAround.execute(picture, left_half(), **given),
    } | dict.fromkeys(("megapixels", "multiple"), lambda **given: lime.LIMECropAround.execute(picture, **given))
    with pytest.raises(ValueError, match=message):
        run.get(name, find)(**inputs)


@pytest.mark.parametrize("steps", [-1, 5])
def test_steps_that_come_by_wire_are_checked(host, monkeypatch, steps):
    this = edit(host, steps=4)
    never_sampled(this, monkeypatch)
    with pytest.raises(ValueError, match=f"steps is {steps} but the schedule has 4 steps"):
        this.probe(steps=steps)


def test_a_schedule_that_does_not_fall_is_refused(host, monkeypatch):
    this = edit(host, steps=4)
    never_sampled(this, monkeypatch)
    for sigmas in (this.sigmas.flip(0), this.sigmas[[0, 1, 1, 3, 4]]):
        this.sigmas = sigmas
        with pytest.raises(ValueError, match="expected a schedule that falls there"):
            this.probe(steps=2)


def test_a_latent_too_small_for_any_layer_is_refused(host, monkeypatch):
    this = edit(host, size=(4, 4))
    never_sampled(this, monkeypatch)
    with pytest.raises(ValueError, match="latent_image is of 32x32 pixels"):
        this.probe()


def test_an_empty_batch_is_refused(host):
    this = edit(host)
    this.latent = {"samples": torch.zeros(0, 4, 16, 16)}
    with pytest.raises(ValueError, match="latent_image has no images"):
        this.probe()
    for model in (this.regularize(left_half()), keep(host, this.model, left_half())):
        with pytest.raises(ValueError, match="the latent has no images"):
            this.sample(model)


def test_a_picture_on_a_model_without_channels_for_it_is_refused(host, monkeypatch):
    this = edit(host, in_channels=4)
    never_sampled(this, monkeypatch)
    for run in (
        this.probe,
        lambda: this.sample(this.regularize(left_half())),  # a mask of the user's own: nothing is probed
        lambda: this.sample(keep(host, this.model, left_half())),
    ):
        with pytest.raises(ValueError, match="it is no instruction-editing model"):
            run()


def test_at_the_published_setting_a_latent_without_a_layer_to_regularise_is_refused(host, monkeypatch):
    this = edit(host, published=True)
    never_sampled(this, monkeypatch)
    with pytest.raises(ValueError, match="no layer of this model would be regularised"):
        this.sample(this.regularize(left_half()))


@pytest.mark.parametrize("side", [512, 768, 1024, 2048, 3072, 4096])
def test_layers_are_recorded_and_regularised_at_every_size(host, side):
    from demo.host import pack_module

    family, latent = pack_module("nodes.hooks.families").family_of(edit(host).model), (side // 8, side // 8)
    sizes = {tuple(-(-n // 2**level) for n in latent) for level in range(4)}  # SD1.5's
    recorded = {size for size in sizes if family.recorded(size, latent, host.ops.RECOMMENDED)}
    assert recorded == {(side // 16, side // 16), (side // 32, side // 32)}
    regularized = {size for size in sizes if family.regularized(size, latent, host.ops.RECOMMENDED)}
    assert regularized == {(side // 8, side // 8), (side // 16, side // 16)}


def test_large_maps_are_pooled(host):
    this = edit(host, size=(160, 96), steps=2, levels=2)
    capture = this.probe(steps=1)[0]
    assert max(max(gram.size) for gram in capture.grams) <= 64
    assert all(max(layer.shape[1:3]) <= 64 for layer in capture.attention)
    torch.testing.assert_close(capture.attention[0].sum(-1).mean(), torch.tensor(1.0))


def test_a_sampler_that_leaves_the_schedule_is_named(host):
    with pytest.raises(RuntimeError, match=r"no attention was recorded: .*\(dpm_fast, dpm_adaptive\)"):
        edit(host, sampler="dpm_fast", steps=8).probe(steps=3)


def test_a_node_that_skips_evaluations_is_named(host):
    this = edit(host, steps=8)
    skips = {"reuse_threshold": 1e9, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}
    model = patched(this, "nodes_easycache", "EasyCacheNode", **skips)
    with pytest.raises(RuntimeError, match=r"no attention was recorded: .* skips evaluations there \(EasyCache"):
        this.probe(steps=5, guider=this.make_guider(model))


def test_what_was_not_evaluated_is_named_after_sampling(host):
    this = edit(host)
    guider = this.make_guider()
    guider.original_conds["positive"][0].update(start_percent=0.9, end_percent=1.0)
    with pytest.raises(RuntimeError, match=r"no attention was recorded: .* time-step range"):
        this.probe(steps=1, guider=guider)
