"""LIMEProbe in the real host: what it records, and that it leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from demo.host import pack_module
from editing import edit
from lime_ops import feature_grams

SIZES = [(16, 16), (12, 20)]


def loop_probabilities(q, k, heads):
    """Plain restatement: softmax of scaled scores, a head at a time, averaged."""
    width = q.shape[-1] // heads
    maps = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        maps.append((q[..., part] @ k[..., part].transpose(-1, -2) / width**0.5).softmax(-1))
    return torch.stack(maps).mean(0)


def reference_records(this, steps=2):
    """Attention and features of one evaluation at the last probe step, by forward hooks on the UNet's own modules."""
    unet = this.model.model.diffusion_model
    inputs, outputs, handles = {}, {}, []
    for name, module in unet.named_modules():
        if name.endswith(("attn1", "attn2")):

            def before(module, args, kwargs, name=name):
                inputs[name] = (args[0], kwargs.get("context"))

            def after(module, args, kwargs, output, name=name):
                outputs[name] = output

            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
    sigmas = this.sigmas[: steps + 1]
    this.make_guider().sample(
        this.noise.generate_noise(this.latent), this.latent["samples"], this.sampler_object, sigmas, seed=7
    )
    for handle in handles:
        handle.remove()
    return unet, inputs, outputs


def fit(pixels, size):
    """Rows and columns of a layer with so many pixels, each level half the one before."""
    return next(s for s in ([-(-n // 2**level) for n in size] for level in range(3)) if s[0] * s[1] == pixels)


def assert_same_grams(got, wanted):
    assert {(g.size, g.channels) for g in got} == {(tuple(w.size), w.channels) for w in wanted}
    by_size = {tuple(w.size): w.products for w in wanted}
    for products, size, _ in got:
        limit = 1e-5 * by_size[size].abs().max().item()
        torch.testing.assert_close(products, by_size[size], atol=limit, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("images", [1, 2])
def test_records_the_maps_that_the_model_itself_computes(host, size, images):
    this = edit(host, size=size, images=images)
    capture = this.probe(steps=2)[0]
    unet, inputs, outputs = reference_records(this)
    floor = max(-(-size[0] // 4) * -(-size[1] // 4), 64)
    names = [n for p in ("input", "output", "middle") for n in outputs if n.startswith(p)]
    maps, features = [], []
    for name in names:
        # The host puts the branches in one batch as [instruction, image only, blank].
        x, context = inputs[name]
        pixels = outputs[name].shape[1]
        if not floor <= pixels < 4096:
            continue
        features.append(outputs[name].chunk(3)[1].unflatten(1, fit(outputs[name].shape[1], size)))
        if name.endswith("attn2"):
            module = unet.get_submodule(name)
            q, k = module.to_q(x).chunk(3)[0], module.to_k(context).chunk(3)[0]
            maps.append(loop_probabilities(q, k, module.heads))
    assert len(maps) == len(capture.attention) > 0
    for got, wanted in zip(capture.attention, maps, strict=True):
        torch.testing.assert_close(got.flatten(1, 2), wanted, atol=1e-6, rtol=1e-4)
    assert_same_grams(capture.grams, feature_grams(features))


def test_one_pass_gives_what_sampling_in_one_go_gives(host):
    this = edit(host, steps=5)
    torch.testing.assert_close(this.finish(this.probe(steps=2)), this.sample(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("guider", ["dual", "cfg", "basic"])
@pytest.mark.parametrize(("dtype", "maps", "products"), [(torch.float16, 0.03, 0.01), (torch.bfloat16, 0.3, 0.05)])
def test_half_precision_records_nearly_what_fp32_does(host, guider, dtype, maps, products):
    """Measured: maps to 0.010 and 0.126 of their peak, Gram matrices to 0.002 and 0.019 of their norm."""
    capture, exact = (edit(host, dtype=d, guider=guider).probe()[0] for d in (dtype, torch.float32))
    for got, wanted in zip(capture.attention, exact.attention, strict=True):
        assert got.dtype == torch.float32
        assert (got - wanted).abs().max() < maps * wanted.max()
    for got, wanted in zip(capture.grams, exact.grams, strict=True):
        assert got.products.dtype == torch.float32
        assert (got.products - wanted.products).norm() < products * wanted.products.norm()
    torch.testing.assert_close(capture.attention[0].sum(-1), torch.ones(1, 16, 16), atol=1e-2, rtol=0)


def test_finds_the_instruction_by_what_it_carries_in_every_guider(host):
    # The instruction is number 2 for DualCFGGuider, 0 for CFGGuider: the same maps must come out.
    maps = {name: edit(host, guider=name).probe(steps=1)[0].attention for name in ("dual", "cfg", "basic")}
    for name in ("cfg", "basic"):
        for got, wanted in zip(maps[name], maps["dual"], strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-4)


def test_records_the_same_when_the_host_splits_the_branches(host, monkeypatch):
    this = edit(host)
    together = this.probe()[0]
    monkeypatch.setattr("comfy.model_base.BaseModel.memory_required", lambda *args, **kwargs: 2**60)
    apart = this.probe()[0]
    assert_same_grams(apart.grams, together.grams)
    for got, wanted in zip(apart.attention, together.attention, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_takes_features_from_the_instruction_when_no_other_branch_is_evaluated(host):
    this = edit(host, scales=(1.0, 1.0))
    basic = edit(host, guider="basic")
    assert_same_grams(this.probe(steps=1)[0].grams, basic.probe(steps=1)[0].grams)


def test_a_long_instruction_keeps_all_its_columns(host):
    this = edit(host, tokens=154)
    maps = this.probe()[0].attention
    assert {m.shape[-1] for m in maps} == {154}
    torch.testing.assert_close(maps[0].sum(-1), torch.ones(1, 16, 16))


def test_mean_averages_attention_and_puts_the_features_of_the_recorded_steps_side_by_side(host):
    this = edit(host, steps=6)
    mean = this.probe(steps=4, record="mean")[0]  # the last 40 % of four steps: the third and the fourth
    third, fourth = this.probe(steps=3)[0], this.probe(steps=4)[0]
    for got, a, b in zip(mean.attention, third.attention, fourth.attention, strict=True):
        torch.testing.assert_close(got, (a + b) / 2, atol=1e-6, rtol=1e-4)
    assert_same_grams(mean.grams, feature_grams([*features_of(this, 3), *features_of(this, 4)]))


def features_of(this, steps):
    """The recorded layers' features in the last of so many steps, by forward hooks."""
    _, _, outputs = reference_records(this, steps)
    return [
        value.chunk(3)[1].unflatten(1, fit(value.shape[1], this.size))
        for name, value in outputs.items()
        if value.shape[1] >= 64
    ]


def test_an_unpatched_run_after_a_probe_is_bit_identical_to_one_before(host):
    this = edit(host)
    before = this.sample()
    this.probe()
    assert torch.equal(this.sample(), before)
    assert not this.model.wrappers and "patches_replace" not in this.model.model_options["transformer_options"]


def test_more_steps_than_the_schedule_has_is_an_error(host):
    with pytest.raises(ValueError, match="steps is 9 but the schedule has 4 steps"):
        edit(host, steps=4).probe(steps=9)


@pytest.mark.parametrize(("schedule", "steps"), [(4, 4), (1, 0)])
def test_a_probe_that_leaves_no_step_to_edit_in_is_an_error(host, schedule, steps):
    with pytest.raises(ValueError, match=f"steps is {steps or 1} but the schedule has {schedule} steps"):
        edit(host, steps=schedule).probe(steps=steps)


def test_a_latent_of_several_frames_is_an_error(host):
    this = edit(host)
    this.latent = {"samples": torch.zeros(1, 4, 3, 16, 16)}
    with pytest.raises(ValueError, match="latent_image has 3 frames"):
        this.probe()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_latent_in_half_precision_is_recorded_at_every_step(host, dtype):
    this = edit(host, steps=12, size=(8, 8), guider="basic")
    this.latent = {"samples": torch.zeros(1, 4, 8, 8, dtype=dtype)}
    for steps in range(1, 12):
        assert this.probe(steps=steps)[0].attention


def test_the_mean_of_layers_that_change_their_size_is_an_error(host):
    from comfy_extras.nodes_model_downscale import PatchModelAddDownscale as DeepShrink

    this = edit(host, steps=8, size=(32, 32))
    model = DeepShrink.execute(this.model, 3, 2.0, 0.0, 0.35, True, "bicubic", "bicubic")[0]
    guider = this.make_guider(model)
    assert this.probe(steps=4, guider=guider)[0].attention
    with pytest.raises(RuntimeError, match="layers change their size while the probe samples"):
        this.probe(steps=4, record="mean", guider=guider)


def test_an_image_of_one_channel_is_an_error(host):
    with pytest.raises(ValueError, match="image has 1 channels"):
        edit(host).probe(image=torch.zeros(1, 128, 128, 1))


def test_an_image_of_another_shape_is_an_error(host):
    with pytest.raises(ValueError, match="image is 1 x 64x128 but the latent is of 1 x 128x128 pixels"):
        edit(host).probe(image=torch.zeros(1, 128, 64, 3))


def test_a_model_of_which_nothing_tells_where_it_edits_is_refused_by_name(host):
    this = edit(host)
    this.concat = None
    guider = this.make_guider()
    guider.model_patcher = guider.model_patcher.clone()
    guider.model_patcher.add_object_patch("diffusion_model", torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="nothing tells where Linear edits"):
        this.probe(guider=guider)


def test_an_instruction_that_the_guider_does_not_sample_is_an_error_before_sampling(host, monkeypatch):
    this, other = edit(host), edit(host)
    other.text = other.text + 1
    monkeypatch.setattr(this.model.model, "apply_model", None)
    with pytest.raises(ValueError, match="the instruction is another than the one that is sampled"):
        this.probe(instruction=other.instruction_of())


def test_batches_that_are_evaluated_in_threads_are_all_recorded(host):
    """As 0.33 does on several GPUs."""
    family = pack_module("nodes.hooks.families").family_of(edit(host).model)
    evaluation = pack_module("nodes.hooks.recorder")._Evaluation
    call = pack_module("nodes.hooks.families").Call(
        None, 0, (16, 16), (16, 16), ("a",), slice(None), slice(0, 77), slice(None), False
    )
    n, (q, k) = torch.ones(1, 256, 32), (torch.ones(1, tokens, 1, 8) for tokens in (256, 77))
    now = evaluation(family, host.ops.RECOMMENDED, (16, 16), 77, {"a"}, {"a": 0})

    def layer(number):
        now.attend(q, k, k, call._replace(block=number % 64), lambda *qkv: n)
        now.output(n, call._replace(block=number), "attn1")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(layer, range(256)))
    assert now.layers[0] == 64  # each block once
    torch.testing.assert_close(now.attention[0], torch.full((1, 16, 16, 77), 64 / 77))
    (gram,) = now.best_grams().values()
    assert gram.channels == 256 * 32 and (gram.products == 256 * 32).all()


def test_interrupting_leaves_nothing_behind(host):
    import comfy.model_management

    this = edit(host)
    before = this.probe()
    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        this.probe()
    comfy.model_management.interrupt_current_processing(False)
    after = this.probe()
    assert torch.equal(after[1]["samples"], before[1]["samples"])
    assert all(torch.equal(a.products, b.products) for a, b in zip(after[0].grams, before[0].grams, strict=True))
