"""SDXL's UNets, and text-to-image models that edit from the latent: img2img and inpainting."""

import math
from dataclasses import replace

import pytest
import torch
from dense import dense_edit, left
from test_attn_regularize_model import assert_same, left_half

from demo.host import pack_module
from editing import edit
from random_model import small_sdxl


@pytest.fixture(scope="module", params=["SDXL InstructPix2Pix", "CosXL Edit", "SDXL"])
def sdxl(host, request):
    channels = 4 if request.param == "SDXL" else 8
    pooled = {"pooled_output": torch.randn(1, 1280, generator=torch.Generator().manual_seed(8))}
    this = edit(
        host,
        model=small_sdxl(channels, cosxl=request.param == "CosXL Edit"),
        guider="cfg",
        size=(32, 32),
        steps=2,
        more=pooled,
    )
    if channels == 4:
        this.latent, this.concat = {"samples": this.concat}, None
    return this


def test_sdxl_is_regularised_in_all_its_cross_attention(sdxl):
    got = sdxl.sample(sdxl.regularize(left_half(256, 256)))
    assert (got - sdxl.sample()).abs().max() > 1e-3 * got.abs().max()
    assert_same(got, dense_edit(sdxl, left, coarsest=4 * 4))


def test_sdxl_at_1024_pixels_records_its_sixty_coarse_layers_in_40_megabytes(sdxl):
    family = pack_module("nodes.hooks.families").family_of(sdxl.model)
    latent, settings = (128, 128), sdxl.host.ops.RECOMMENDED
    sizes = family.sizes(latent)
    assert {size for size in sizes if family.regularized(size, latent, settings)} == {(64, 64), (32, 32)}
    (recorded,) = {size for size in sizes if family.recorded(size, latent, settings)}
    assert recorded == (32, 32)
    capture = sdxl.probe(steps=1)[0]  # at 256 px both sizes count
    coarse = [layer for layer in capture.attention if layer.shape[1] == 8]
    assert len(coarse) == 60 and len(capture.attention) == 70
    pixels = math.prod(recorded)
    assert 4 * (60 * pixels * 77 + pixels**2) < 40e6


def test_img2img_on_sdxl_finds_regularises_and_keeps(sdxl):
    if sdxl.concat is not None:
        pytest.skip("this SDXL edits")
    probe = sdxl.probe(steps=1)
    source = sdxl.latent["samples"]
    model = sdxl.host.lime.LIMEKeepOutside.execute(
        sdxl.regularize(left_half(256, 256)), left_half(256, 256), sdxl.latent
    )
    got, noisy = sdxl.finish(probe, model[0]), probe[1]["samples"]  # all of whose noise one step takes away
    torch.testing.assert_close(got[..., 17:], source[..., 17:], atol=1e-6 * noisy.abs().max().item(), rtol=0)


@pytest.mark.parametrize("kind", ["img2img", "inpainting"])
@pytest.mark.parametrize("passes", [1, 2])
def test_a_text_to_image_model_edits_the_latent_it_is_given(host, kind, passes):
    this = edit(host, in_channels=4 if kind == "img2img" else 9, guider="cfg", steps=6)
    this.latent, this.concat = {"samples": this.concat}, None
    this.sigmas = this.sigmas[3:]  # denoise 0.5
    if kind == "inpainting":  # as InpaintModelConditioning, without its noise mask
        this.model.model.set_inpaint()
        hole = left_half()[:, None]
        this.more = {"concat_latent_image": this.latent["samples"] * 0.1, "concat_mask": hole}
    probe = this.probe(steps=1)
    assert probe[0].attention and probe[0].change is None
    segments = host.lime.LIMEFeatureCluster.execute(probe[0], 8, 0)[0]
    mask = host.lime.LIMEAttentionRoI.execute(probe[0], segments, this.tokens_of(), 0.97, 100)[0].float()
    mask[..., 96:] = 0
    with pytest.raises(ValueError, match="no conditioning carries the source picture"):
        this.sample(host.lime.LIMEKeepOutside.execute(this.model, mask)[0])
    model = host.lime.LIMEKeepOutside.execute(this.regularize(mask), mask, this.latent)[0]
    got = this.finish(probe, model) if passes == 1 else this.sample(model)
    source = this.latent["samples"]
    torch.testing.assert_close(got[..., 14:], source[..., 14:], atol=1e-6 * source.abs().max().item(), rtol=0)


def test_a_unet_without_a_middle_block_is_recorded_regularised_and_kept(host):
    this = edit(host, middle=-2)  # as SDXS and KOALA are
    assert this.model.model.diffusion_model.middle_block is None
    probe, mask = this.probe(), left_half()
    got = this.finish(probe, host.lime.LIMEKeepOutside.execute(this.regularize(mask), mask)[0])
    assert not torch.equal(got, this.finish(probe, host.lime.LIMEKeepOutside.execute(this.model, mask)[0]))
    torch.testing.assert_close(got[..., 9:], this.concat[..., 9:], atol=1e-4, rtol=1e-4)


def test_the_estimate_may_say_where_on_a_unet_too(host):
    this = edit(host)
    instruction = this.instruction_of()
    instruction = instruction._replace(settings=replace(instruction.settings, witness="estimate"))
    capture = this.probe(instruction=instruction)[0]
    assert capture.change.shape == (1, 16, 16) and capture.change.max() == 1


def test_the_text_of_a_unet_has_no_outputs_to_compare(host):
    this = edit(host)
    instruction = this.instruction_of()
    instruction = instruction._replace(settings=replace(instruction.settings, witness="outputs"))
    with pytest.raises(ValueError, match="witness is 'outputs', but the text does not attend in UNetModel"):
        this.probe(instruction=instruction)
