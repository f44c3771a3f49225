"""LIMEKeepOutside in the real host."""

import pytest
import torch

from demo.host import pack_module
from editing import edit


def left_half():
    """Reaches half a latent pixel into column 8 of 16, so the source stays from column 9 on."""
    mask = torch.zeros(1, 128, 128)
    mask[:, :, :64] = 1
    return mask


def keep(host, this, mask, model=None, latent=None):
    return host.lime.LIMEKeepOutside.execute(model or this.model, mask, latent)[0]


@pytest.mark.parametrize("guider", ["dual", "cfg", "basic"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun"])
def test_keeps_the_source_outside(host, guider, sampler):
    this = edit(host, guider=guider, sampler=sampler)
    got = this.sample(keep(host, this, left_half()))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(got[..., :8], this.concat[..., :8], atol=0.1)


def test_keeps_the_source_when_it_joins_after_a_probe(host):
    this = edit(host)
    got = this.finish(this.probe(), keep(host, this, left_half()))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-4, rtol=1e-4)


def test_a_source_of_other_frames_than_are_sampled_is_an_error(host):
    check_source = pack_module("nodes.hooks.conditionings").check_source
    sampled = torch.zeros(1, 16, 3, 8, 8)
    for frames in (1, 3):
        check_source(torch.zeros(1, 16, frames, 8, 8), sampled)
    with pytest.raises(ValueError, match="the source's latent has 2 frames but 3 are sampled"):
        check_source(torch.zeros(1, 16, 2, 8, 8), sampled)


def test_each_image_of_a_batch_keeps_its_own_source(host):
    this = edit(host, images=2)
    got = this.sample(keep(host, this, torch.zeros(1, 128, 128)))
    torch.testing.assert_close(got, this.concat, atol=1e-4, rtol=1e-4)


def test_a_source_that_nothing_carries_is_an_error_before_sampling(host):
    this = edit(host, in_channels=4)
    this.concat = None
    with pytest.raises(ValueError, match="no conditioning carries the source picture"):
        this.sample(keep(host, this, left_half()))


def test_a_source_may_come_as_a_latent(host):
    this = edit(host, in_channels=4)
    source, this.concat = this.concat, None
    got = this.sample(keep(host, this, left_half(), latent={"samples": source}))
    torch.testing.assert_close(got[..., 9:], source[..., 9:], atol=1e-4, rtol=1e-4)


def test_a_full_mask_changes_nothing(host):
    this = edit(host)
    got = this.sample(keep(host, this, torch.ones(1, 128, 128)))
    torch.testing.assert_close(got, this.sample(), atol=1e-3, rtol=1e-3)


def test_joins_the_regularised_model_in_any_order(host):
    this = edit(host)
    one = keep(host, this, left_half(), model=this.regularize(left_half()))
    other = this.regularize(left_half(), model=keep(host, this, left_half()))
    assert torch.equal(this.sample(one), this.sample(other))


def test_one_mask_for_each_image(host):
    this = edit(host, images=2)
    masks = torch.cat([torch.ones(1, 128, 128), torch.zeros(1, 128, 128)])
    both = this.sample(keep(host, this, masks))
    torch.testing.assert_close(both[0], this.sample()[0], atol=1e-3, rtol=1e-3)
    nothing = this.sample(keep(host, this, torch.zeros(1, 128, 128)))
    torch.testing.assert_close(both[1], nothing[1], atol=1e-3, rtol=1e-3)


def test_the_model_that_comes_in_is_unchanged(host):
    this = edit(host)
    before = this.sample()
    this.sample(keep(host, this, left_half()))
    assert torch.equal(this.sample(), before)


def test_a_mask_of_another_shape_is_an_error_before_sampling(host):
    this = edit(host)
    with pytest.raises(ValueError, match="mask is 64x128 but the picture that is sampled is 128x128"):
        this.sample(keep(host, this, torch.zeros(1, 128, 64)))


def test_a_second_region_on_one_model_is_an_error(host):
    this = edit(host)
    with pytest.raises(ValueError, match="already keeps an outside"):
        keep(host, this, left_half(), model=keep(host, this, left_half()))
