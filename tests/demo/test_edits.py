"""One scene edited with the demo model is what the host's nodes and this pack's give."""

from dataclasses import replace

import pytest
import torch

from demo.edits import GUIDANCE, STEPS, SceneEdit, held_out_scene, in_miniature
from demo.host import load_pack, pack_module

SEED = 3001


@pytest.fixture(scope="module")
def edit():
    return SceneEdit(held_out_scene(SEED), SEED)


@pytest.fixture(scope="module")
def lime():
    return load_pack()


@pytest.fixture(scope="module")
def graph(edit, lime):
    """What a graph gives to LIMEProbe and to sampling, made by the nodes."""
    import comfy.samplers
    import comfy_extras.nodes_custom_sampler as custom
    import comfy_extras.nodes_ip2p as ip2p

    import nodes

    model, clip, vae = lime["LIMEDemoModel"].execute().args
    text, instruction = lime["LIMEInstruction"].execute(clip, edit.scene.instruction, "recommended").args[:2]
    (empty,) = nodes.CLIPTextEncode().encode(clip, "")
    conditionings = ip2p.InstructPixToPixConditioning.execute(text, empty, edit.picture, vae).args
    sigmas = custom.BasicScheduler.execute(model, "normal", STEPS, 1.0)[0]
    sampler = comfy.samplers.sampler_object("euler")
    noise = custom.RandomNoise.execute(SEED)[0]

    def guider(model):
        return custom.DualCFGGuider.execute(model, *conditionings[:2], empty, *GUIDANCE, "regular")[0]

    def sample(model, noise=noise, sigmas=sigmas, latent=conditionings[2]):
        node = custom.SamplerCustomAdvanced
        return vae.decode(node.execute(noise, guider(model), sampler, sigmas, latent)[0]["samples"])

    probe = (
        guider(model),
        noise,
        sampler,
        sigmas,
        conditionings[2],
        instruction,
        edit.settings.steps,
        "last step",
        edit.picture,
    )
    return model, instruction, probe, sample, custom.DisableNoise.execute()[0]


def test_the_plain_edit_is_the_hosts(edit, graph):
    model, _, _, sample, _ = graph
    with torch.inference_mode():
        assert torch.equal(edit.from_start(), sample(model))


def test_one_pass_is_the_nodes(edit, lime, graph):
    model, instruction, probe, sample, no_noise = graph
    of = pack_module("lime_ops").RECOMMENDED
    when = (of.start_percent, of.end_percent, "instruction only")
    with torch.inference_mode():
        capture, noisy, rest = lime["LIMEProbe"].execute(*probe).args
        tokens = lime["LIMEWords"].execute(instruction, "", "").args[0]
        segments = lime["LIMEFeatureCluster"].execute(capture, of.clusters, 0).args[0]
        mask = lime["LIMEAttentionRoI"].execute(capture, segments, tokens, of.threshold, of.top_k).args[0]
        assert torch.equal(edit.region.float(), mask)
        regularized = lime["LIMEAttnRegularizeModel"].execute(model, mask, tokens, of.strength, *when)[0]
        edited = sample(lime["LIMEKeepOutside"].execute(regularized, mask)[0], no_noise, rest, noisy)
        assert torch.equal(edit.from_probe(model=edit.localized(edit.region)), edited)
        pasted = lime["LIMEPasteBack"].execute(edit.picture, edited, mask, feather=edit.settings.feather)[0]
        assert torch.equal(edit.pasted(edited, edit.region), pasted)


def test_the_miniature_changes_only_what_its_size_and_schedule_ask_for():
    published = pack_module("lime_ops").PUBLISHED
    small = in_miniature(published)
    same = {name: getattr(published, name) for name in ("steps", "feather", "layers_by_share")}
    assert replace(small, **same) == published
    assert small.steps / STEPS == pytest.approx(published.steps / 30, abs=0.5 / STEPS)
    assert 0 <= small.feather / 4 - published.feather / 8 < 1 / 4  # latent pixels, to a whole pixel
