"""Alignment: known transforms are found, and nothing is done where nothing can be known."""

import sys
from types import ModuleType

import pytest
import torch
from pictures import disc_mask, matrix, moved, textured

from lime_ops.alignment import KINDS, align
from lime_ops.resampling import stretch

pytest.importorskip("cv2")

TRANSFORMS = {
    "shift": matrix([1, 0, 5.4], [0, 1, -3.7], [0, 0, 1]),
    "shift and scale": matrix([1.03, 0, -8.0], [0, 1.03, 1.5], [0, 0, 1]),
    "affine": matrix([1.02, 0.01, -4.0], [-0.015, 0.98, 5.0], [0, 0, 1]),
    "homography": matrix([1.01, 0, -3.0], [-0.01, 0.99, 4.0], [1e-4, -8e-5, 1]),
}


def corner_error(found, truth, height=240, width=320):
    """In pixels of a long side of 1024."""
    corners = torch.tensor([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]]).double()
    one, two = ((corners @ m.T)[:, :2] / (corners @ m.T)[:, 2:] for m in (found, truth))
    return (one - two).norm(dim=1).max().item() * 1024 / width


def with_edit(picture, mask):
    return torch.where(mask[..., None] > 0, 1 - picture.flip(0), picture)


@pytest.mark.parametrize("kind", TRANSFORMS)
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_simplest_transform_that_explains_the_outside_is_found(kind, noise):
    picture, mask, truth = textured(), disc_mask(), TRANSFORMS[kind]
    edit = moved(with_edit(picture, mask), truth)
    edit = (edit + noise * torch.randn(edit.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    found = align(picture, edit, mask)
    assert found.kind == kind
    assert corner_error(found.matrix, truth) < 0.5
    assert found.error < 1
    assert f"aligned ({kind})" in found.summary


def test_gain_offset_and_gamma_do_not_disturb_it():
    picture, mask, truth = textured(), disc_mask(), TRANSFORMS["shift"]
    edit = moved(with_edit(picture, mask), truth) ** 1.1 * 0.9 + 0.08
    assert corner_error(align(picture, edit, mask).matrix, truth) < 0.5


def test_picture_edit_and_mask_may_each_have_their_own_size():
    picture, mask, truth = textured(), disc_mask(), TRANSFORMS["shift"]
    edit = moved(with_edit(picture, mask), truth)

    def larger(each, height, width):
        planes = each.reshape(240, 320, -1).movedim(-1, 0)[None]
        return torch.nn.functional.interpolate(planes, (height, width), mode="bicubic")[0].movedim(0, -1).clamp(0, 1)

    found = align(larger(picture, 720, 960), larger(edit, 360, 480), larger(mask, 120, 160)[..., 0])
    wanted = stretch((240, 320), (360, 480)) @ truth @ stretch((720, 960), (240, 320))
    assert corner_error(found.matrix, wanted, 720, 960) < 0.5


def test_a_shift_of_a_sixth_of_the_picture_is_found():
    picture, mask = textured(), disc_mask()
    truth = matrix([1, 0, 50], [0, 1, -20], [0, 0, 1])
    assert corner_error(align(picture, moved(picture, truth), mask).matrix, truth) < 0.5


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_no_drift_means_the_plain_stretch(noise):
    picture, mask = textured(), disc_mask()
    edit = with_edit(picture, mask)
    edit = (edit + noise * torch.randn(edit.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    found = align(picture, edit, mask)
    assert found.kind == "none" and torch.equal(found.matrix, torch.eye(3).double())
    assert "no drift found" in found.summary


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("all inside", "the mask covers nearly everything"),
        ("flat picture", "flat picture"),
        ("another picture", "does not resemble"),
        ("stripes", ""),
    ],
)
def test_where_nothing_can_be_known_nothing_is_done_and_why_is_said(case, reason):
    picture, mask = textured(), disc_mask()
    edit = moved(picture, TRANSFORMS["shift"])
    if case == "all inside":
        mask = torch.ones_like(mask)
    elif case == "flat picture":
        picture, edit = torch.full_like(picture, 0.5), torch.full_like(picture, 0.6)
    elif case == "another picture":
        edit = textured(seed=5)
    else:  # of one direction: a shift along them cannot be seen
        picture = torch.linspace(0, 40, 320).sin().mul(0.4).add(0.5)[None, :, None].expand(240, 320, 3).contiguous()
        edit = picture
    found = align(picture, edit, mask)
    assert found.kind == "none" and torch.equal(found.matrix, torch.eye(3).double())
    assert found.summary.startswith("not aligned: ") and reason in found.summary


@pytest.mark.parametrize("left", [None, ModuleType("cv2")])  # not installed; what an overwritten wheel leaves
def test_without_opencv_nothing_is_aligned_and_what_to_install_is_said(monkeypatch, left):
    monkeypatch.setitem(sys.modules, "cv2", left)
    picture, mask = textured(), disc_mask()
    found = align(picture, moved(picture, TRANSFORMS["shift"]), mask)
    assert found.kind == KINDS[0] and "pip install opencv-python-headless" in found.summary
