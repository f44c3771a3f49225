"""The model that needs guidance, and what its training adds."""

import math

import pytest
import torch

from demo.host import use_host


@pytest.fixture(scope="module")
def model():
    """(model, clip, vae) of the weights that need guidance."""
    use_host()
    from demo.model import GUIDED, load_demo_model

    return load_demo_model(GUIDED)


def test_all_weights_together_are_small_enough_to_be_committed():
    use_host()
    from demo.model import GUIDED, WEIGHTS
    from demo.model_dit import DIT

    folders = (WEIGHTS, GUIDED, DIT)
    assert sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors")) <= 25e6


def test_it_has_weights_of_its_own(model):
    from demo.model import read_weights

    patcher, *_ = model
    key = "middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    assert not torch.equal(patcher.model.diffusion_model.state_dict()[key], read_weights("unet")[key])


def test_the_sink_loss_is_what_is_missing_to_the_wanted_share():
    from demo.train import SINK, sink_loss

    shares = torch.tensor([[SINK, 0.95, SINK / math.e]])  # of the start token, a pixel each
    maps = torch.stack([shares, 1 - shares], -1)
    torch.testing.assert_close(sink_loss([maps]), torch.tensor(1 / 3))


def test_padding_begins_after_the_first_end_token():
    from demo.train import END_TOKEN, after_end

    tokens = torch.tensor([[49406, 736, END_TOKEN, END_TOKEN, END_TOKEN]])
    assert after_end(tokens).tolist() == [[False, False, False, True, True]]
