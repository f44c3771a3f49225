"""What the procedural scenes promise to training and to evaluation."""

import hashlib
from itertools import pairwise

import pytest
import torch

from demo.evaluate import BORDER
from demo.scenes import COLOURS, KINDS, SHAPES, SIZE, WORDINGS, held_out, make_scene

SEEDS = range(150)
EDGE = 0.08  # change of an anti-aliased pixel beyond the border of a region, at most


@pytest.fixture(scope="module", params=["train", "held_out"])
def split(request):
    return request.param


@pytest.fixture(scope="module")
def scenes(split):
    return [make_scene(seed, split) for seed in SEEDS]


def grown(region, pixels=1):
    """The region [H, W] and its border."""
    return torch.nn.functional.max_pool2d(region[None].float(), 2 * pixels + 1, 1, pixels)[0] > 0


def named_pairs(instruction):
    """Shape-colour pairs the instruction spells out: a colour followed by a shape."""
    words = instruction.split()
    return [(b, a) for a, b in pairwise(words) if a in COLOURS and b in SHAPES]


def test_a_seed_always_gives_the_same_scene(split):
    first, second = make_scene(5, split), make_scene(5, split)
    assert first.instruction == second.instruction and first.words == second.words
    assert torch.equal(first.source, second.source) and torch.equal(first.wanted, second.wanted)


def test_a_seed_gives_the_same_scene_on_every_machine():
    scene = make_scene(3, "held_out")
    rounded = scene.region.to(torch.uint8).numpy().tobytes()
    assert (scene.instruction, hashlib.sha256(rounded).hexdigest()[:12]) == ("make the circle vanish", "44a00e7d318c")


def test_pictures_are_channels_last_in_0_to_1(scenes):
    for scene in scenes:
        for picture in (scene.source, scene.wanted):
            assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == torch.float32
            assert picture.min() >= 0 and picture.max() <= 1
        assert scene.region.shape == (SIZE, SIZE) and scene.region.dtype == torch.bool


def test_nothing_changes_beyond_the_border_of_the_region(scenes):
    for scene in scenes:
        change = (scene.wanted - scene.source).abs().amax(-1)
        assert (change * ~grown(scene.region, BORDER)).max() < EDGE, scene.instruction


def test_every_pixel_of_the_region_changes_unless_two_shapes_share_it(scenes):
    for scene in scenes:
        changed = ((scene.wanted - scene.source).abs().amax(-1) > 0.02)[scene.region].float().mean()
        assert changed > (0.99 if scene.kind in ("recolour", "remove", "background") else 0.1), scene.instruction


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_can_be_chosen(kind):
    assert make_scene(0, "train", kind).kind == kind


def test_the_small_kind_edits_an_object_of_a_few_pixels():
    sizes = [make_scene(seed, "train", "small").region.sum() for seed in SEEDS]
    assert max(sizes) < 0.05 * SIZE**2 and min(sizes) >= 12


def test_words_are_whole_words_of_the_instruction_in_order(scenes):
    for scene in scenes:
        rest = iter(scene.instruction.split())
        assert all(word in rest for word in scene.words) and scene.words


def test_training_names_no_pair_that_is_kept_for_evaluation():
    scenes = [make_scene(seed, "train") for seed in range(1000)]
    assert not [pair for scene in scenes for pair in named_pairs(scene.instruction) if held_out(*pair)]


def test_evaluation_edits_only_pairs_that_training_lacks():
    scenes = [make_scene(seed, "held_out", "remove") for seed in SEEDS]
    pairs = [pair for scene in scenes for pair in named_pairs(scene.instruction)]
    assert pairs and all(held_out(*pair) for pair in pairs)


def test_evaluation_shares_no_wording_with_training_but_every_word():
    def words(split):
        return {word for group in WORDINGS[split].values() for wording in group for word in wording.split()}

    for kind in WORDINGS["train"]:
        assert not set(WORDINGS["train"][kind]) & set(WORDINGS["held_out"][kind])
    assert words("held_out") <= words("train")
