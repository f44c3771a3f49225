"""LIMEPasteBack in the real host."""

import pytest
import torch


def paste(host, image, edited, mask, feather=0):
    return host.lime.LIMEPasteBack.execute(image, edited, mask, feather)[0]


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
    assert (row[33:39].diff() < 0).all() and not row[38:].any()
    torch.testing.assert_close(row, row.flip(0))  # the same on the left, where the mask begins at 16 of 48
    assert (paste(host, image, edited, mask, feather=8)[0, :, 24, 0][22:] == 0).all()


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
        ((1, 64, 64, 3), (1, 32, 48, 3), (1, 64, 64), "edited is 48x32 but image is 64x64"),
        ((1, 32, 40, 3), (1, 32, 48, 3), (1, 32, 40), "edited is 48x32 but image is 40x32"),
        ((1, 32, 48, 3), (1, 32, 48, 3), (1, 64, 96), "mask is 96x64 but image is 48x32"),
        ((2, 32, 48, 3), (3, 32, 48, 3), (1, 32, 48), "image has 2 images but edited has 3"),
        ((1, 32, 48, 3), (3, 32, 48, 3), (2, 32, 48), "mask has 2 images but edited has 3"),
    ],
)
def test_what_does_not_fit_is_an_error(host, image, edited, mask, message):
    with pytest.raises(ValueError, match=message):
        paste(host, torch.zeros(image), torch.zeros(edited), torch.zeros(mask))
