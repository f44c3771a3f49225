"""Groups of tokens that benchmarks.tokens silences."""

import math

import torch

from benchmarks.tokens import GROUPS, WAYS, GuidedEdit, Way
from demo.edits import Guidance, held_out_scene


def test_the_groups_are_all_tokens_but_the_chosen_words():
    edit = GuidedEdit(held_out_scene(100_000), 0)
    alone = torch.stack([edit.without((group,)).unrelated for group in GROUPS])
    assert alone.any(1).all()
    assert (alone.sum(0) <= 1).all()
    acting = (~edit.without(GROUPS).unrelated).nonzero().flatten().tolist()
    assert acting == sorted(edit.tokens.locating)
    assert alone[0].nonzero().flatten().tolist() == [0]


def test_every_row_has_a_name_of_its_own():
    assert len({way.name for way in WAYS}) == len(WAYS)


def test_silencing_moves_the_edit():
    scene = held_out_scene(100_000)
    edit, guidance = GuidedEdit(scene, 0, steps=2), Guidance(3.0)
    plain = edit.from_start(guidance)
    silenced = edit.from_start(guidance, edit.regularized(Way(strength=1.0), scene.region[None]))
    assert math.isfinite(silenced.sum())
    assert not torch.allclose(silenced, plain, atol=1e-3)
