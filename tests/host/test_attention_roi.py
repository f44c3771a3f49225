"""LIMEFeatureCluster and LIMEAttentionRoI in the real host."""

import pytest
import torch

from demo.host import pack_module
from editing import edit


def region(host, this, capture, clusters=8, top_k=100, tokens=None, threshold=0.7):
    segments = host.lime.LIMEFeatureCluster.execute(capture, clusters, 0)[0]
    tokens = tokens or this.tokens_of()
    return host.lime.LIMEAttentionRoI.execute(capture, segments, tokens, threshold, top_k)


@pytest.mark.parametrize(("size", "images"), [((16, 16), 1), ((12, 20), 2)])
def test_the_mask_has_the_pictures_size_and_one_layer_an_image(host, size, images):
    this = edit(host, size=size, images=images)
    picture = torch.rand(images, size[0] * 8, size[1] * 8, 3)
    mask, heatmap = region(host, this, this.probe(image=picture)[0]).args
    assert mask.shape == picture.shape[:3]
    assert set(mask.unique().tolist()) <= {0.0, 1.0} and mask.any()
    assert heatmap.shape[0] == images and heatmap.min() >= 0 and heatmap.max() <= 1


def test_without_an_image_the_mask_has_8_pixels_for_each_latent_pixel(host):
    this = edit(host, size=(12, 20))
    assert region(host, this, this.probe()[0])[0].shape == (1, 96, 160)


def test_fewer_hot_pixels_never_give_a_larger_region(host):
    this = edit(host, published=True)
    capture = this.probe()[0]
    sizes = [region(host, this, capture, top_k=k)[0].sum().item() for k in (1, 100, 16384)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 128 * 128  # every pixel's segment owns one of all pixels


def test_published_an_empty_choice_of_words_is_an_empty_region(host):
    this = edit(host, published=True)
    mask, heatmap = region(host, this, this.probe()[0], tokens=this.tokens_of(())).args
    assert not mask.any()
    assert heatmap.isfinite().all()


def test_the_mask_goes_straight_into_the_regulariser(host):
    this = edit(host)
    probe = this.probe()
    mask = region(host, this, probe[0], threshold=1.0)[0]
    assert not torch.equal(this.finish(probe, this.regularize(mask)), this.finish(probe))


def test_an_empty_region_is_said_in_preview_and_log(host, caplog):
    this = edit(host)
    tokens = this.tokens_of()._replace(locating=())  # no word locates: published, an instruction of function words
    output = region(host, this, this.probe()[0], tokens=tokens)
    assert not output[0].any()
    assert "no region was found for 'make the hat red'" in caplog.text
    drawn = pack_module("nodes.previews").draw_region(output[0], torch.full((1, 128, 128, 3), 0.5))
    assert drawn.unique().numel() > 10  # grey alone would be one value


class Elsewhere(torch.Tensor):
    """A tensor of another device: no operation takes it together with one that is here, as on a GPU."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.Tensor.cpu:
            return args[0].as_subclass(torch.Tensor)
        if function is torch.Tensor.to and type(args[0]) is torch.Tensor:  # to where the other one is
            return args[0].as_subclass(cls)
        tensors = [t for arg in args for t in (arg if isinstance(arg, tuple | list) else [arg])]
        if any(type(t) is torch.Tensor and t.ndim for t in tensors):
            raise RuntimeError(f"{function.__name__}: tensors of two devices")
        return super().__torch_function__(function, types, args, kwargs or {})


def test_previews_are_drawn_where_the_picture_is(host):
    """As under `--gpu-only`, where labels, heat and picture never leave the GPU."""
    previews = pack_module("nodes.previews")
    labels, heat = torch.arange(64).reshape(1, 8, 8) % 5, torch.rand(1, 8, 8)
    mask, picture = torch.zeros(1, 64, 64), torch.rand(1, 64, 64, 3)
    draws = ((previews.draw_segments, labels), (previews.draw_heatmap, heat), (previews.draw_region, mask))
    with pytest.raises(RuntimeError, match="two devices"):
        picture.as_subclass(Elsewhere) + picture
    for draw, shown in draws:
        drawn = draw(shown.as_subclass(Elsewhere), picture.as_subclass(Elsewhere))
        assert type(drawn) is Elsewhere
        assert torch.equal(drawn.cpu(), draw(shown, picture))


def test_segments_of_a_probe_that_ran_twice_are_of_either_capture(host):
    this = edit(host)
    first, second = this.probe()[0], this.probe()[0]
    segments = host.lime.LIMEFeatureCluster.execute(first, 8, 0)[0]
    mask, other = (host.lime.LIMEAttentionRoI.execute(c, segments, this.tokens_of())[0] for c in (first, second))
    assert torch.equal(mask, other)


def test_segments_of_another_capture_are_an_error(host):
    this = edit(host)
    first, second = this.probe()[0], this.probe(steps=1)[0]
    segments = host.lime.LIMEFeatureCluster.execute(first, 8, 0)[0]
    with pytest.raises(ValueError, match="segments come from another capture"):
        host.lime.LIMEAttentionRoI.execute(second, segments, this.tokens_of(), 0.7, 100)


def test_tokens_of_another_instruction_are_an_error(host):
    this, other = edit(host), edit(host)
    other.text = other.text + 1
    with pytest.raises(ValueError, match="the probe did not sample the instruction 'make the hat red'"):
        region(host, this, this.probe()[0], tokens=other.tokens_of())


def test_of_two_instructions_in_one_run_the_given_one_is_recorded(host):
    this, other = edit(host), edit(host)
    other.text = torch.flip(this.text, [1])
    guider = this.make_guider()
    both = this.make_guider().original_conds["positive"] + other.make_guider().original_conds["positive"]
    guider.original_conds["positive"] = both
    for one in (this, other):
        capture = this.probe(guider=guider, steps=1, instruction=one.instruction_of())[0]
        alone = one.probe(steps=1)[0]
        for got, wanted in zip(capture.attention, alone.attention, strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-4)


def test_tokens_of_another_setting_are_an_error(host):
    this, published = edit(host), edit(host, published=True)
    with pytest.raises(ValueError, match="one recommended and one published"):
        region(host, this, this.probe()[0], tokens=published.tokens_of())


def test_a_higher_threshold_gives_a_smaller_region(host):
    this = edit(host)
    capture = this.probe()[0]
    sizes = [region(host, this, capture, threshold=t)[0].sum().item() for t in (0.05, 0.9, 1.0)]
    assert sizes[0] >= sizes[1] >= sizes[2] > 0
    assert sizes[0] > sizes[2]
