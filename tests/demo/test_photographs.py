"""What photographic scenes promise, beyond what all scenes do."""

import hashlib
import random
from itertools import pairwise

import pytest
import torch

from demo.photographs import ATLAS, NAMES, PHOTO_KINDS, SPLITS, VISIBLE, Photographs, make_photo_scene, tinted
from demo.scenes import COLOURS, GROUNDS, SIZE, TWO, WORDINGS, held_out, make_scene
from demo.shapes import SHAPES, Object, coverage
from demo.train_data import _draw_range

SEEDS = range(60)


@pytest.fixture(scope="module")
def scenes():
    return [make_photo_scene(seed, "held_out") for seed in SEEDS]


def test_training_draws_photographic_scenes_of_all_kinds():
    pictures, regions, texts, words = _draw_range(range(40), True)
    flat = _draw_range(range(40), False)
    assert pictures.shape == (40, 2, SIZE, SIZE, 3) and regions.shape == (40, 16, 16) and len(words) == 40
    assert any(" and " in text for text in texts) and not any(" and " in text for text in flat[2])
    assert not torch.equal(pictures, flat[0])


@pytest.fixture(scope="module")
def two_clauses():
    return [make_scene(seed, "held_out", TWO) for seed in SEEDS]


def test_flat_scenes_are_what_they_were_before_photographs():
    digest = hashlib.sha256()
    for seed in range(40):
        scene = make_scene(seed, "held_out")
        for part in (scene.source, scene.wanted):
            digest.update(part.mul(255).round().to(torch.uint8).numpy().tobytes())
        digest.update(scene.region.numpy().tobytes() + scene.instruction.encode())
    assert digest.hexdigest()[:16] == "d788a23f2f44cc6e"


def test_the_atlas_is_small_and_no_photograph_is_in_both_splits():
    assert ATLAS.stat().st_size <= 1.5e6
    assert len(SPLITS["train"]) == 5 and len(SPLITS["held_out"]) == 3 and len(set(NAMES)) == 8


def test_each_photograph_has_its_source_and_licence():
    rows = [line for line in ATLAS.with_suffix(".md").read_text().splitlines() if line.startswith("| ")]
    licences = {row.split("|")[1].strip(): row for row in rows}
    for name in NAMES:
        assert any(word in licences[name] for word in ("CC0", "CC BY 2.0", "public domain")), name


def test_a_seed_always_gives_the_same_scene():
    first, second = make_photo_scene(5), make_photo_scene(5)
    assert first.instruction == second.instruction
    assert torch.equal(first.source, second.source) and torch.equal(first.wanted, second.wanted)


def test_pictures_are_channels_last_in_0_to_1(scenes):
    for scene in scenes:
        for picture in (scene.source, scene.wanted):
            assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == torch.float32
            assert picture.min() >= 0 and picture.max() <= 1


def test_nothing_visible_changes_outside_the_region(scenes):
    for scene in scenes:
        change = (scene.wanted - scene.source).abs().amax(-1)
        assert (change * ~scene.region).max() <= VISIBLE, scene.instruction


def test_what_is_recoloured_keeps_its_texture():
    """The recoloured object's light and shade is the same, up to what the colours make of it."""
    agree = []
    for seed in range(40):
        scene = make_photo_scene(seed, "held_out", "recolour")
        if {"black", "white"} & set(scene.words):  # nothing to see in one, clipped in the other
            continue
        grey = [p.mean(-1)[scene.region] for p in (scene.source, scene.wanted)]
        agree.append(torch.corrcoef(torch.stack(grey))[0, 1])
    assert torch.stack(agree).median() > 0.8


@pytest.mark.parametrize("colour", [*COLOURS.values(), *GROUNDS.values()])
def test_a_tinted_surface_is_the_colour_on_average(colour):
    ramp = torch.linspace(0, 1, 32 * 32).view(32, 32)
    surface = torch.stack([ramp, ramp.flip(0), ramp], -1)
    torch.testing.assert_close(tinted(surface, colour, 0.14).mean((0, 1)), torch.tensor(colour), rtol=0, atol=1e-5)


def test_a_shadow_lies_beside_its_object_away_from_the_light():
    look = Photographs(random.Random(3), "train")  # noqa: S311
    thing = Object("circle", "red", 32.0, 32.0, 10.0)
    beside = look._shadow([thing]) * (1 - coverage(thing))
    rows, columns = torch.meshgrid(*[torch.arange(SIZE) + 0.5 - 32] * 2, indexing="ij")
    towards = rows * look.light[0] + columns * look.light[1]
    assert (beside * towards).sum() < 0 and beside.max() > 0.5


def test_two_clauses_name_two_things_and_both_change(two_clauses):
    things = 0
    for scene in two_clauses:
        changed = (scene.wanted - scene.source).abs().amax(-1) > 0.02
        assert " and " in scene.instruction and changed[scene.region].float().mean() > 0.99, scene.instruction
        assert scene.words.count("background") + sum(w in SHAPES for w in scene.words) >= 1
        things += "background" not in scene.words and not set(scene.words) & set(GROUNDS)
    assert 5 < things < len(two_clauses) - 5  # of both sorts


def test_two_clauses_of_training_name_no_pair_that_is_kept_for_evaluation():
    texts = [make_scene(seed, "train", TWO).instruction.split() for seed in range(300)]
    pairs = [(b, a) for words in texts for a, b in pairwise(words) if a in COLOURS and b in SHAPES]
    assert pairs and not any(held_out(*pair) for pair in pairs)


@pytest.mark.parametrize("kind", PHOTO_KINDS)
def test_the_kind_can_be_chosen(kind):
    assert make_photo_scene(0, "train", kind).kind == kind


def test_each_kind_has_its_wordings():
    assert all(kind in WORDINGS[split] for split in SPLITS for kind in PHOTO_KINDS if kind != "small")
