"""The demo's DiT: its training, what is stored of it, and the host's model that is made of that."""

import argparse
import math
from itertools import product

import pytest
import torch

from demo.host import use_host
from demo.scenes import COLOURS, GROUNDS, SHAPES, WORDINGS, make_scene

SUCCEEDS = 3000  # seed of a scene and its noise
IN_PLACE = torch.autograd.graph.allow_mutation_on_saved_tensors


@pytest.fixture(scope="module")
def vocabulary():
    """Tokens of an instruction [1, T]; their ids in order."""
    use_host()
    from demo.model_dit import new_t5

    tokens = torch.tensor([[t for t, _ in new_t5().tokenize("make the red circle blue")["t5xxl"][0]]])
    return tokens, tokens.unique()


@pytest.fixture
def editor(vocabulary):
    from demo.train_dit import Editor

    torch.manual_seed(0)
    return Editor(vocabulary[1])


@pytest.fixture(scope="module")
@torch.no_grad()
def scenes(vocabulary):
    """A training set of 16 scenes' latents, all with one instruction."""
    from demo.model import load_demo_model

    *_, vae = load_demo_model()
    drawn = [make_scene(seed, "train") for seed in range(16)]
    latents = vae.encode(torch.stack([p for s in drawn for p in (s.source, s.wanted)])).unflatten(0, (-1, 2))
    regions = torch.nn.functional.avg_pool2d(torch.stack([s.region for s in drawn])[:, None].float(), 4)[:, 0]
    tokens = vocabulary[0]
    return {"latents": latents, "regions": regions, "tokens": tokens.expand(16, -1), "empty": tokens}


@pytest.fixture
def options(tmp_path):
    return argparse.Namespace(out=tmp_path, stage="dit", resume=True, seed=0, steps=12, batch=4, rate=2e-3)


def fitted(editor, scenes, options):
    from demo.train_dit import losses, optimizers_of
    from demo.train_loop import fit

    with IN_PLACE():
        return fit(
            options,
            editor,
            optimizers_of(editor, options.rate),
            lambda step: losses(editor, scenes, options.batch, step),
            lambda step: options.rate,
            lambda average: None,
        )


@pytest.fixture(scope="module")
def trains(vocabulary):
    """Hosts after 0.3.75 rotate positions in a kernel that has no gradient."""
    import comfyui_version

    if comfyui_version.__version__ != "0.3.75":
        pytest.skip(f"ComfyUI {comfyui_version.__version__} rotates positions without a gradient")


def test_a_few_steps_lower_the_loss(trains, editor, scenes, options):
    from demo.train_loop import checkpoint

    fitted(editor, scenes, options)
    total = torch.tensor(torch.load(checkpoint(options), weights_only=True)["curve"])[:, 0]
    assert total[-3:].mean() < 0.9 * total[:3].mean()


def test_in_bfloat16_the_losses_are_nearly_the_same(trains, editor, scenes):
    from demo.train_dit import losses

    found = []
    for bfloat16 in (False, True):
        torch.manual_seed(0)
        found.append(losses(editor, scenes, 4, 0, bfloat16))
    for name, exact in found[0].items():
        assert exact.dtype == found[1][name].dtype == torch.float32
        assert found[1][name].item() == pytest.approx(exact.item(), rel=1e-3)  # measured: 1e-4, of the region


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(trains, vocabulary, scenes, options):
    from demo.train_dit import Editor
    from demo.train_loop import checkpoint

    ends = []
    for parts in ((4,), (2, 4)):
        checkpoint(options).unlink(missing_ok=True)
        for options.steps in parts:
            torch.manual_seed(0)
            fitted(Editor(vocabulary[1]), scenes, options)
        ends.append(torch.load(checkpoint(options), weights_only=True)["module"])
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_a_training_goes_on_from_stored_weights(trains, scenes, options):
    from demo.model_dit import DIT, stored
    from demo.train_dit import Editor, start
    from demo.train_loop import checkpoint

    options.start = DIT
    start(options)
    begun = torch.load(checkpoint(options), weights_only=True)
    for name in ("flux", "text"):
        weights = stored(name, DIT)
        weights.pop("token_ids", None)
        assert all(torch.equal(value.float(), begun["module"][f"{name}.{key}"]) for key, value in weights.items())
    options.steps = begun["step"] + 1
    editor = Editor(begun["module"]["vocabulary"])
    fitted(editor, scenes, options)
    assert len(torch.load(checkpoint(options), weights_only=True)["curve"]) == options.steps


def test_the_host_predicts_with_the_exported_weights_what_training_does(editor, vocabulary, scenes, options, tmp_path):
    from demo.model_dit import load_dit, stored
    from demo.train_dit import export
    from demo.train_loop import checkpoint

    with torch.no_grad():  # a layer that starts at zero would hide the others
        for parameter in editor.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    options.export = tmp_path / "weights"
    torch.save({"average": editor.state_dict()}, checkpoint(options))
    for name in ("dit_loss.png", "dit.json"):
        (tmp_path / name).touch()
    export(options)
    model, clip, _ = load_dit(options.export)
    for name, part in (("flux", editor.flux), ("text", editor.text)):
        weights = stored(name, options.export)
        part.load_state_dict({key: value for key, value in weights.items() if key != "token_ids"})
    noisy, source = torch.randn(1, 4, 16, 16), scenes["latents"][:1, 0]
    sigma = torch.tensor([0.8])
    with torch.inference_mode():
        velocity, _ = editor(noisy, sigma, vocabulary[0], source)
        text = clip.encode_from_tokens(clip.tokenize("make the red circle blue"))
        clean = model.model.apply_model(noisy, sigma, c_crossattn=text, ref_latents=[source])
    torch.testing.assert_close(clean, noisy - 0.8 * velocity, rtol=0, atol=1e-5)


def test_a_stored_matrix_is_off_by_half_a_step_at_most(vocabulary):
    from demo.model_dit import STEP
    from demo.train_dit import in_8_bits

    weight = torch.randn(5, 64) * torch.logspace(-3, 1, 5)[:, None]
    kept = in_8_bits({"w": weight, "b": weight[0]})
    assert kept["w"].dtype == torch.int8 and torch.equal(kept["b"], weight[0])
    step = kept["w" + STEP].float()
    # Half a step; the step itself is rounded to half precision, 2^-11 of up to 127 steps.
    assert ((kept["w"] * step - weight).abs() <= (0.5 + 127 * 2**-11) * step).all()


def test_it_is_the_hosts_flux_with_a_reference_and_flow_matching(vocabulary):
    import comfy.ldm.flux.model
    import comfy.model_sampling

    from demo.model_dit import new_flux

    model = new_flux()
    assert isinstance(model.diffusion_model, comfy.ldm.flux.model.Flux)
    assert isinstance(model.model_sampling, comfy.model_sampling.CONST)
    assert model.model_sampling.sigma_max == 1 and model.model_sampling.shift == 1.15


def test_every_instruction_fits_into_the_padded_text(vocabulary):
    from demo.model_dit import TEXT_LENGTH, new_t5

    tokenizer = new_t5().tokenizer
    objects = [f"{c} {s}" for c, s in product(COLOURS, SHAPES)]
    every = {"o": objects, "n": SHAPES, "c": COLOURS, "g": GROUNDS, "p": objects, "d": COLOURS}
    pieces = {
        word: sum(t > 1 for t, _ in tokenizer.tokenize_with_weights(word)["t5xxl"][0])
        for words in every.values()
        for word in words
    }
    longest = {name: max(words, key=pieces.get) for name, words in every.items()}
    texts = [w.format(**longest) for split in WORDINGS.values() for wordings in split.values() for w in wordings]
    assert {len(tokenizer.tokenize_with_weights(text)["t5xxl"][0]) for text in texts} == {TEXT_LENGTH}


def test_a_head_starts_by_looking_at_its_own_place_in_the_reference(editor):
    """Attention of a position to every position of picture and reference, by rotation of the biases alone."""
    from demo.model_dit import REFERENCE_INDEX

    flux, (row, column), side = editor.flux, (5, 7), 16
    bias = flux.single_blocks[0].linear1.bias.detach()
    query, key = bias[:32], bias[flux.hidden_size : flux.hidden_size + 32]

    def turned(vector, position):
        turns = flux.pe_embedder(torch.tensor([[position]]).float())[0, 0, 0]
        return (turns @ vector.view(-1, 2, 1)).flatten()

    scores = torch.tensor(
        [
            [turned(query, (0, row, column)) @ turned(key, (index, y, x)) for y in range(side) for x in range(side)]
            for index in (0, REFERENCE_INDEX)
        ]
    )
    assert scores.argmax() == side * side + row * side + column
    assert scores[1, row * side + column] == pytest.approx(7, abs=1e-5)  # a pair each turned onto itself
    assert scores[0].max() < 5.1  # cos(3) = -0.99 in the pair of the index


def test_windows_hold_the_edit_and_all_maps_are_cut_alike():
    from demo.train_dit import ASIDE, corners_around, cut

    torch.manual_seed(0)
    regions = torch.zeros(400, 16, 16)
    regions[:, 9:13, 2:5] = 1
    corners = corners_around(regions, 8)
    windows = cut(regions, corners, 8)
    assert windows.shape == (400, 8, 8)
    held = (windows.sum((1, 2)) >= 6).float().mean()  # half of it
    assert held > 1 - ASIDE
    numbers = torch.arange(16 * 16).view(1, 1, 16, 16).expand(400, 3, -1, -1)
    row, column = corners[7]
    assert torch.equal(cut(numbers, corners, 8)[7, 2], numbers[0, 0, row : row + 8, column : column + 8])


def test_later_windows_are_wider():
    from demo.train_dit import WINDOWS, window_at

    assert [window_at(step) for step in (0, *WINDOWS)] == [8, *WINDOWS.values()]
    assert sorted(WINDOWS.values()) == list(WINDOWS.values()) and max(WINDOWS.values()) == 16


def test_the_rate_warms_up_stays_and_goes_down_over_the_last_fifth():
    from demo.train_loop import WARM_UP, trapezoid

    rates = [trapezoid(step, 10_000) for step in range(10_000)]
    assert rates[0] == 1 / WARM_UP and rates[WARM_UP:8000] == [1] * (8000 - WARM_UP)
    assert math.isclose(rates[9000], 0.5) and rates[-1] == pytest.approx(1 / 2000)


def test_it_edits_a_scene_with_the_weights_that_are_stored():
    """Through the host's sampling; the scene is one of those it succeeds with."""
    from demo.edits import held_out_scene
    from demo.edits_dit import DiTEdit
    from demo.evaluate import succeeded

    scene = held_out_scene(SUCCEEDS)
    with torch.inference_mode():
        assert succeeded(DiTEdit(scene, SUCCEEDS).from_start()[0], scene)


def test_missing_weights_are_named(vocabulary, tmp_path):
    from demo.model_dit import load_dit

    with pytest.raises(FileNotFoundError, match=r"flux\.safetensors is missing"):
        load_dit(tmp_path)


def test_guidance_of_1_asks_the_instruction_alone(vocabulary):
    from demo.edits import Guidance, held_out_scene
    from demo.edits_dit import DiTEdit

    edit = DiTEdit(held_out_scene(SUCCEEDS), SUCCEEDS)
    assert set(edit.guider().original_conds) == {"positive"}
    assert set(edit.guider(Guidance(2.0)).original_conds) == {"positive", "negative"}
