"""The demo model in the real host, with the weights that come with the pack."""

import pytest
import torch

from demo.host import use_host
from demo.scenes import make_scene


@pytest.fixture(scope="module")
def model():
    """(model, clip, vae), as LIMEDemoModel gives them."""
    use_host()
    from demo.model import load_demo_model

    return load_demo_model()


@pytest.fixture(scope="module")
def pictures():
    return torch.stack([make_scene(seed, "held_out").source for seed in range(16)])


def test_the_weights_are_small_enough_to_be_committed():
    use_host()
    from demo.model import WEIGHTS

    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 15e6


def test_missing_weights_are_named(monkeypatch, tmp_path):
    use_host()
    import demo.model

    monkeypatch.setattr(demo.model, "WEIGHTS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"unet\.safetensors is missing"):
        demo.model.load_demo_model()


def test_it_is_the_hosts_own_instruct_pix2pix_with_8_channels_and_zero_terminal_snr(model):
    import comfy.model_base

    patcher, *_ = model
    assert isinstance(patcher.model, comfy.model_base.SD15_instructpix2pix)
    assert patcher.model.model_type == comfy.model_base.ModelType.V_PREDICTION
    assert patcher.model.diffusion_model.in_channels == 8
    assert patcher.get_model_object("model_sampling").sigma_max > 1000


def test_text_is_77_tokens_of_the_hosts_clip_tokenizer(model):
    _, clip, _ = model
    (chunk,) = clip.tokenize("make the red circle blue")["l"]
    assert [token for token, _ in chunk][:2] == [49406, 1078] and len(chunk) == 77
    assert clip.encode_from_tokens(clip.tokenize("make the red circle blue")).shape == (1, 77, 128)


def test_the_text_is_what_training_made_of_the_stored_weights(model):
    from demo.train import Editor

    _, clip, _ = model
    instruction = "make the red circle blue"
    tokens = torch.tensor([[token for token, _ in clip.tokenize(instruction)["l"][0]]])
    trained = Editor(tokens.unique())
    weights = clip.cond_stage_model.clip_l.transformer.state_dict()
    rows = "text_model.embeddings.token_embedding.weight"
    trained.text.load_state_dict(weights | {rows: weights[rows][tokens.unique()]})
    with torch.inference_mode():
        torch.testing.assert_close(clip.encode_from_tokens(clip.tokenize(instruction)), trained.encode(tokens))


def test_every_layer_of_the_text_model_is_loaded(model):
    from demo.model import read_weights

    _, clip, _ = model
    stored = read_weights("text")
    loaded = clip.cond_stage_model.clip_l.state_dict()
    for key, value in stored.items():
        if "token" not in key:
            assert torch.equal(loaded[key], value), key


def test_an_unknown_word_still_gives_finite_text(model):
    _, clip, _ = model
    assert clip.encode_from_tokens(clip.tokenize("turn the giraffe mauve")).isfinite().all()


def test_a_latent_pixel_is_4_pixels_and_latents_have_unit_variance(model, pictures):
    *_, vae = model
    latent = vae.encode(pictures)
    assert latent.shape == (16, 4, 16, 16)
    assert 0.7 < latent.std() < 1.4


def test_the_vae_gives_unseen_pictures_back_at_30_db(model, pictures):
    *_, vae = model
    error = (vae.decode(vae.encode(pictures)) - pictures).square().mean((1, 2, 3))
    assert (-10 * error.log10()).mean() >= 30
