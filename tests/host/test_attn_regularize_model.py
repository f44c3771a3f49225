"""LIMEAttnRegularizeModel in the real host."""

import pytest
import torch
from dense import dense_edit, left

from editing import edit


def left_half(height=128, width=128):
    mask = torch.zeros(1, height, width)
    mask[:, :, : width // 2] = 1
    return mask


def assert_same(got, wanted):
    """Equal to 1e-5 of the range: with random weights latents reach some hundreds."""
    torch.testing.assert_close(got, wanted, atol=1e-5 * wanted.abs().max().item(), rtol=0)


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_equals_attention_with_a_dense_bias_in_every_layer(host, size, strength):
    this = edit(host, size=size)
    mask = left_half(128 * size[0] // size[1] if size[0] != size[1] else 128)
    wanted = dense_edit(this, left, strength=strength)
    got = this.sample(this.regularize(mask, strength=strength))
    assert (got - this.sample()).abs().max() > 1e-2
    assert_same(got, wanted)


def test_can_regularize_the_instruction_only(host):
    this = edit(host)
    wanted = dense_edit(this, left, rows=slice(0, 1))
    assert_same(this.sample(this.regularize(left_half(), branches="instruction only")), wanted)


def test_splitting_the_branches_does_not_change_the_result(host, monkeypatch):
    this = edit(host, tokens=154)
    model = this.regularize(left_half())
    together = this.sample(model)
    monkeypatch.setattr("comfy.model_base.BaseModel.memory_required", lambda *args, **kwargs: 2**60)
    assert_same(this.sample(model), together)


def test_strength_zero_and_an_empty_mask_change_nothing(host):
    this = edit(host)
    plain = this.sample()
    assert torch.equal(this.sample(this.regularize(left_half(), strength=0.0)), plain)
    assert torch.equal(this.sample(this.regularize(torch.zeros(1, 128, 128))), plain)


def test_strength_moves_the_result_between_plain_and_full(host):
    this = edit(host)
    plain, full = this.sample(), this.sample(this.regularize(left_half()))
    half = this.sample(this.regularize(left_half(), strength=0.5))
    assert 0 < (half - plain).norm() < (full - plain).norm()


def test_one_mask_for_each_image(host):
    this = edit(host, images=2)
    this.concat[1] = this.concat[0]
    masks = torch.cat([left_half(), torch.zeros(1, 128, 128)])
    both = this.sample(this.regularize(masks))
    first, second = this.sample(this.regularize(left_half())), this.sample()
    assert_same(both[0], first[0])
    assert_same(both[1], second[1])


def test_percents_bound_the_steps(host):
    this = edit(host, steps=6)
    plain = this.sample()
    # Six steps stand at time steps 999, 799, ... 0: none lies between 30 and 35 percent.
    assert_same(this.sample(this.regularize(left_half(), start=0.3, end=0.35)), plain)
    early = this.sample(this.regularize(left_half(), start=0.0, end=0.5))
    whole = this.sample(this.regularize(left_half(), start=0.0, end=1.0))
    apart = 1e-3 * plain.abs().max()
    assert (early - plain).abs().max() > apart and (early - whole).abs().max() > apart


def test_percents_are_of_the_sampling_that_is_set_before_or_behind(host):
    from comfy_extras.nodes_model_advanced import ModelSamplingContinuousEDM

    def chosen(model):
        return ModelSamplingContinuousEDM().patch(model, "eps", 120.0, 0.002)[0]

    this = edit(host, steps=8)
    sampling = chosen(this.model).get_model_object("model_sampling")
    this.sigmas = host.samplers.calculate_sigmas(sampling, "exponential", 10)
    before = this.sample(this.regularize(left_half(), end=0.5, model=chosen(this.model)))
    behind = this.sample(chosen(this.regularize(left_half(), end=0.5)))
    assert torch.equal(before, behind)
    assert not torch.equal(before, this.sample(this.regularize(left_half(), end=0.9, model=chosen(this.model))))


@pytest.mark.parametrize("guider", ["dual", "cfg", "basic"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_as_near_to_fp32_as_without_the_pack(host, guider, dtype):
    this, exact = edit(host, guider=guider, dtype=dtype), edit(host, guider=guider)

    def error(model, wanted):
        return (this.sample(model).float() - wanted).norm() / wanted.norm()

    plain = error(this.model, exact.sample())  # fp16 0.001 to 0.005, bf16 0.008 to 0.035
    regularized = error(this.regularize(left_half()), exact.sample(exact.regularize(left_half())))
    assert regularized < 1.5 * plain < 0.1  # 0.7 to 0.9 of it


def test_another_packs_attention_replacement_is_called_underneath(host):
    this = edit(host)
    calls = []

    def replacement(q, k, v, extra):
        from comfy.ldm.modules.attention import optimized_attention

        calls.append(extra["block"])
        return optimized_attention(q, k, v, extra["n_heads"]) * 0.5

    for order in ("before", "after"):
        calls.clear()
        model = this.model.clone()
        if order == "before":
            model.set_model_attn2_replace(replacement, "input", 1)
        model = this.regularize(left_half(), model=model)
        if order == "after":
            model.set_model_attn2_replace(replacement, "input", 1)
        result = this.sample(model)
        assert calls
        if order == "before":
            first = result
    assert torch.equal(first, result)


def test_an_attention_override_is_called_underneath(host):
    this = edit(host)
    model = this.model.clone()
    seen = []

    def override(function, q, k, v, heads, **kwargs):
        seen.append(k.shape[1])
        return function(q, k, v, heads, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = override
    got = this.sample(this.regularize(left_half(), model=model))
    assert_same(got, this.sample(this.regularize(left_half())))
    assert 77 in seen and 2 in seen  # all tokens, and the related ones: no head is widened for a stranger


def test_an_unpatched_run_after_a_patched_one_is_bit_identical_to_one_before(host):
    this = edit(host)
    before = this.sample()
    this.sample(this.regularize(left_half()))
    assert torch.equal(this.sample(), before)


def test_a_mask_of_another_shape_is_an_error_before_sampling(host):
    this = edit(host)
    with pytest.raises(ValueError, match="mask is 64x128 but the picture that is sampled is 128x128"):
        this.sample(this.regularize(torch.zeros(1, 128, 64)))


def test_a_mask_of_another_batch_is_an_error_before_sampling(host):
    this = edit(host, images=2)
    with pytest.raises(ValueError, match="mask has 3 images but the latent has 2"):
        this.sample(this.regularize(torch.zeros(3, 128, 128)))


def test_tokens_of_another_instruction_are_an_error_before_sampling(host):
    this, other = edit(host), edit(host)
    other.text = other.text + 1
    with pytest.raises(ValueError, match="the instruction is another than the one that is sampled"):
        this.sample(this.regularize(left_half(), tokens=other.tokens_of()))


def test_a_second_region_on_one_model_is_an_error(host):
    this = edit(host)
    with pytest.raises(ValueError, match="already has a LIME region"):
        this.regularize(left_half(), model=this.regularize(left_half()))


def test_a_model_whose_attention_is_not_reached_is_refused_by_name(host):
    this = edit(host)
    model = this.model.clone()
    model.add_object_patch("diffusion_model", torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="LIME does not reach the attention of Linear"):
        this.regularize(left_half(), model=model)
