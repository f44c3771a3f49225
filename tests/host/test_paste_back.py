"""LIMEPasteBack and LIMECropAround in the real host. The photograph is the host's own kind: an IMAGE tensor."""

import pytest
import torch

from demo.host import pack_module


def paste(host, image, edited, mask, feather=0, **others):
    return host.lime.LIMEPasteBack.execute(image, edited, mask, feather=feather, **others)[0]


def pictures(batch=1, height=32, width=48):
    image, edited = torch.rand(2, batch, height, width, 3)
    mask = torch.zeros(1, height, width)
    mask[:, 8:16, 16:32] = 1
    return image, edited, mask


def test_without_fading_the_edit_is_inside_and_the_picture_itself_outside(host):
    image, edited, mask = pictures()
    before = image.clone()
    got = paste(host, image, edited, mask)
    inside = mask[0] == 1
    torch.testing.assert_close(got[0][inside], edited[0][inside])
    assert torch.equal(got[0][~inside], image[0][~inside])
    assert torch.equal(image, before)


def test_fades_from_the_mask_s_edge_to_the_picture(host):
    image, edited, mask = torch.zeros(1, 32, 48, 3), torch.ones(1, 32, 48, 3), pictures()[2]
    row = paste(host, image, edited, mask, feather=8)[0, 12, :, 0]
    assert (row[16:32] == 1).all()
    assert (row[32:41].diff() <= 0).all() and row[39] > 0 and not row[40:].any()
    torch.testing.assert_close(row, row.flip(0))  # the same on the left, where the mask begins at 16 of 48
    assert (paste(host, image, edited, mask, feather=8)[0, :, 24, 0][24:] == 0).all()


def test_a_soft_mask_blends(host):
    image, edited, mask = pictures()
    torch.testing.assert_close(
        paste(host, image, edited, mask * 0.25)[0, 10, 20], image[0, 10, 20].lerp(edited[0, 10, 20], 0.25)
    )


def test_an_edit_cropped_as_the_host_crops_comes_back_to_its_place(host):
    image = torch.rand(1, 37, 54, 3)
    top, left = 5 // 2, 6 // 2
    cropped = image[:, top : top + 32, left : left + 48]
    torch.testing.assert_close(paste(host, image, cropped, torch.ones(1, 37, 54)), image)
    torch.testing.assert_close(paste(host, image, cropped, torch.ones(1, 32, 48)), image)


def test_one_picture_and_one_mask_serve_a_batch_of_edits(host):
    image, edited, mask = pictures()
    edits = torch.cat([edited, edited.flip(1)])
    got = paste(host, image, edits, mask)
    for one, edit in zip(got, edits, strict=True):
        assert torch.equal(one, paste(host, image, edit[None], mask)[0])


@pytest.mark.parametrize(
    ("image", "edited", "mask", "message"),
    [
        ((1, 64, 64, 3), (1, 32, 48, 3), (1, 64, 64), "the edit is 48x32 but what it was made from is 64x64"),
        ((1, 32, 48, 3), (1, 32, 48, 3), (1, 64, 64), "mask is 64x64 but the picture is 48x32"),
        ((2, 32, 48, 3), (3, 32, 48, 3), (1, 32, 48), "image has 2 images but edited has 3"),
        ((1, 32, 48, 3), (3, 32, 48, 3), (2, 32, 48), "mask has 2 images but edited has 3"),
    ],
)
def test_what_does_not_fit_is_an_error(host, image, edited, mask, message):
    with pytest.raises(ValueError, match=message):
        paste(host, torch.zeros(image), torch.zeros(edited), torch.zeros(mask))


def blobs(height, width, seed=3):
    """A photograph of soft blobs, which alignment can hold on to: float [1, height, width, 3]."""
    coarse = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    fine = torch.rand(1, 3, 60, 80, generator=torch.Generator().manual_seed(seed + 1))
    layers = [torch.nn.functional.interpolate(each, (height, width), mode="bicubic") for each in (coarse, fine)]
    return (0.7 * layers[0] + 0.3 * layers[1]).clamp(0, 1).movedim(1, -1)


def test_a_large_photograph_keeps_its_pixels_and_an_edit_that_shifted_and_yellowed_fits_in(host):
    pytest.importorskip("cv2")
    photograph = blobs(1200, 1600)
    cropped, _, crop = host.lime.LIMECropAround.execute(photograph, megapixels=0.25).args
    assert cropped.shape == (1, *crop.size, 3)
    changed = cropped.clone()
    height, width = crop.size
    there = (slice(None), slice(height // 4, height // 2), slice(width // 4, width // 2))
    changed[there] = 1 - changed[there]
    tint = torch.tensor([1.0, 1.0, 0.9])
    edited = torch.roll(changed, (3, 5), (1, 2)) * tint
    mask = torch.zeros(1, height, width)
    mask[there] = 1
    output = host.lime.LIMEPasteBack.execute(photograph, edited, mask, crop)
    pasted, (line,) = output[0], output.ui["text"]
    assert "aligned (shift)" in line and "colours matched" in line
    assert pasted.shape == photograph.shape
    untouched = torch.ones(1200, 1600, dtype=torch.bool)
    rows, columns = 1200 / height, 1600 / width
    reach = 12  # pixels of the edit: the feather, and one more for each of two interpolations
    untouched[
        int((height // 4 - reach) * rows) : int((height // 2 + reach) * rows) + 1,
        int((width // 4 - reach) * columns) : int((width // 2 + reach) * columns) + 1,
    ] = False
    assert torch.equal(pasted[0][untouched], photograph[0][untouched])
    middle = (slice(None), slice(350, 550), slice(450, 750))
    naive = host.lime.LIMEPasteBack.execute(photograph, edited, mask, crop, align=False, match_colours=False)
    off, was_off = (((each - (1 - photograph))[middle]).abs().mean() for each in (pasted, naive[0]))
    assert off < 0.02 < 0.05 < was_off
    assert naive.ui["text"] == ["pasted as it came"]


def test_something_small_is_edited_at_full_detail_and_put_back(host):
    photograph, mask = blobs(900, 1200), torch.zeros(1, 900, 1200)
    mask[:, 700:760, 1000:1080] = 1
    cropped, inside, crop = host.lime.LIMECropAround.execute(photograph, mask, megapixels=0.1, multiple=8).args
    assert cropped.shape[1:3] == inside.shape[1:] == crop.size
    assert crop.part.height < 300 and crop.part.width < 300
    assert all(side % 8 == 0 for side in crop.size)
    shown = host.lime.LIMEPasteBack.execute(photograph, 1 - cropped, mask, crop, 4, False, False)[0]
    by_crop = host.lime.LIMEPasteBack.execute(photograph, 1 - cropped, inside, crop, 4, False, False)[0]
    for pasted in (shown, by_crop):
        torch.testing.assert_close(
            pasted[:, 705:755, 1005:1075], 1 - photograph[:, 705:755, 1005:1075], atol=0.02, rtol=0
        )
        assert torch.equal(pasted[:, :600], photograph[:, :600])
        assert torch.equal(pasted[..., :900, :], photograph[..., :900, :])


@pytest.mark.parametrize("size", [(3000, 4000), (4000, 6000), (1367, 2048), (1080, 1920), (512, 512), (777, 1311)])
@pytest.mark.parametrize(("megapixels", "multiple"), [(0.25, 8), (0.25, 16), (1.0, 16), (1.0, 32)])
def test_the_whole_photograph_at_the_model_s_size_keeps_the_shape_that_masks_must_have(
    host, size, megapixels, multiple
):
    _, mask, crop = host.lime.LIMECropAround.execute(
        torch.zeros(1, 1, 1, 1).expand(1, *size, 3), None, 0.5, megapixels, multiple
    ).args
    assert crop.part == (0, 0, *size) and (mask == 1).all()
    fits = pack_module("nodes.hooks.conditionings").fits
    assert fits(size, [side // 8 for side in crop.size])


def test_an_empty_mask_leaves_the_photograph_and_says_so(host):
    image, edited, mask = pictures()
    output = host.lime.LIMEPasteBack.execute(image, edited, mask * 0)
    assert torch.equal(output[0], image) and output.ui["text"] == ["nothing pasted: the mask is empty"]
    with pytest.raises(ValueError, match="mask is empty"):
        host.lime.LIMECropAround.execute(image, mask * 0)


@pytest.mark.parametrize("channels", [1, 4])
def test_alpha_stays_the_photograph_s_and_an_edit_of_one_channel_is_grey(host, channels):
    image, edited, mask = torch.rand(1, 32, 48, 4), torch.rand(1, 32, 48, channels), pictures()[2]
    got = paste(host, image, edited, mask)
    assert torch.equal(got[..., 3], image[..., 3])
    torch.testing.assert_close(got[0, 10, 20, :3], edited[0, 10, 20, :3].expand(3))


def test_a_crop_of_another_photograph_is_named(host):
    crop = host.lime.LIMECropAround.execute(torch.zeros(1, 64, 96, 3)).args[2]
    with pytest.raises(ValueError, match="the crop reaches to 96x64 but the picture is 48x32"):
        paste(host, *pictures(), crop=crop)
