"""LIMELocalGuidance in the real host."""

import pytest
import torch

from editing import edit


def left_half():
    """Reaches half a latent pixel into column 8 of 16, so the source stays from column 9 on."""
    mask = torch.zeros(1, 128, 128)
    mask[:, :, :64] = 1
    return mask


UNGUIDED, SOURCE = "no text guidance", "source picture"


def localise(host, this, mask, model=None, tokens=None, outside=UNGUIDED):
    return host.lime.LIMELocalGuidance.execute(model or this.model, mask, tokens or this.tokens_of(), outside)[0]


@pytest.mark.parametrize("guider", ["dual", "cfg", "basic"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun"])
def test_keeps_the_source_outside(host, guider, sampler):
    this = edit(host, guider=guider, sampler=sampler)
    got = this.sample(localise(host, this, left_half(), outside=SOURCE))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(got[..., :8], this.concat[..., :8], atol=0.1)


def test_keeps_the_source_when_it_joins_after_a_probe(host):
    this = edit(host)
    got = this.finish(this.probe(), localise(host, this, left_half(), outside=SOURCE))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-4, rtol=1e-4)


def test_each_image_of_a_batch_keeps_its_own_source(host):
    this = edit(host, images=2)
    got = this.sample(localise(host, this, torch.zeros(1, 128, 128), outside=SOURCE))
    torch.testing.assert_close(got, this.concat, atol=1e-4, rtol=1e-4)


def test_a_source_that_nothing_carries_is_an_error_before_sampling(host):
    this = edit(host, in_channels=4)
    this.concat = None
    with pytest.raises(ValueError, match="no conditioning carries the source picture"):
        this.sample(localise(host, this, left_half(), outside=SOURCE))


@pytest.mark.parametrize("guider", ["dual", "cfg"])
def test_one_step_guides_inside_and_takes_the_image_only_prediction_outside(host, guider):
    this = edit(host, guider=guider, steps=1)
    got = this.sample(localise(host, this, left_half()))
    plain = this.sample()
    scales = this.scales
    this.scales = (1.0, scales[1]) if guider == "dual" else scales
    this.text = this.empty  # without the instruction: text guidance has nothing to guide to
    without = this.sample()
    torch.testing.assert_close(got[..., :8], plain[..., :8], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got[..., 9:], without[..., 9:], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain, without, atol=1e-2)


def test_a_full_mask_changes_nothing(host):
    this = edit(host)
    got = this.sample(localise(host, this, torch.ones(1, 128, 128)))
    torch.testing.assert_close(got, this.sample(), atol=1e-3, rtol=1e-3)


def test_joins_the_regularised_model_in_any_order(host):
    this = edit(host)
    one = localise(host, this, left_half(), model=this.regularize(left_half()))
    other = this.regularize(left_half(), model=localise(host, this, left_half()))
    assert torch.equal(this.sample(one), this.sample(other))


def test_one_mask_for_each_image(host):
    this = edit(host, images=2)
    masks = torch.cat([torch.ones(1, 128, 128), torch.zeros(1, 128, 128)])
    both = this.sample(localise(host, this, masks))
    torch.testing.assert_close(both[0], this.sample()[0], atol=1e-3, rtol=1e-3)
    nothing = this.sample(localise(host, this, torch.zeros(1, 128, 128)))
    torch.testing.assert_close(both[1], nothing[1], atol=1e-3, rtol=1e-3)


def test_the_model_that_comes_in_is_unchanged(host):
    this = edit(host)
    before = this.sample()
    this.sample(localise(host, this, left_half()))
    assert torch.equal(this.sample(), before)


def test_a_guider_without_another_branch_is_an_error_before_sampling(host):
    this = edit(host, guider="basic")
    with pytest.raises(ValueError, match="needs a branch without the instruction"):
        this.sample(localise(host, this, left_half()))


def test_a_mask_of_another_shape_is_an_error_before_sampling(host):
    this = edit(host)
    with pytest.raises(ValueError, match="mask is 64x128 but the latent is 16x16"):
        this.sample(localise(host, this, torch.zeros(1, 128, 64)))


def test_a_second_region_on_one_model_is_an_error(host):
    this = edit(host)
    with pytest.raises(ValueError, match="already has a local region"):
        localise(host, this, left_half(), model=localise(host, this, left_half()))
