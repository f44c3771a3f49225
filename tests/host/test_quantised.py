"""Quantised and compiled models, by stand-ins that hang in where the host or another pack does."""

import json
from dataclasses import replace

import pytest
import torch
from family_edit import Edit
from small_models import CASES, newer_parameters
from test_attn_regularize_model import left_half
from test_families import assert_keeps_the_source, assert_same, kept_region, some_region

from editing import edit

FAMILIES = ["Flux.1 Kontext", "Qwen-Image-Edit"]


@pytest.fixture(params=FAMILIES, scope="module")
def this(host, request):
    return Edit(host, CASES[request.param])


def with_model(this, model):
    return replace(this, model=model)


def edited(this):
    """The probe's record, and the edit in one pass that is regularised and keeps the outside."""
    probe = this.probe("attention")
    mask = this.picture_mask(some_region(this.case))
    source = None if this.references else this.source
    return probe[0], this.finish(probe, this.keep(mask, this.regularize(mask, 0.9), latent=source))


def assert_edits_alike(got, wanted):
    (capture, picture), (plain, plain_picture) = edited(got), edited(wanted)
    assert_same(capture.attention[0], plain.attention[0])
    assert_same(capture.grams[0].products, plain.grams[0].products)
    assert_same(picture, plain_picture)
    assert (picture - got.sample()).norm() > 1e-2 * picture.norm()


# --- quantised weights: the host's class, other layers in it ----------------------------------------------------------


def model_of(case, operations, weights):
    """ModelPatcher of a case's network with layers of `operations`, as the host's loader makes it."""
    import comfy.model_patcher
    import comfy.supported_models

    config = getattr(comfy.supported_models, case.config)(case.unet | newer_parameters(case.unet))
    config.unet_config.pop("disable_unet_model_creation", None)
    config.set_inference_dtype(torch.float32, None)
    config.custom_operations = operations
    cpu = torch.device("cpu")
    model = config.get_model({}, device=cpu)
    missing, _ = model.diffusion_model.load_state_dict(weights, strict=False)
    assert not missing
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


def matrices(model):
    """Weights of a network, and the names of those that are quantised: of linear layers."""
    network = model.get_model_object("diffusion_model")
    linear = {f"{name}.weight" for name, layer in network.named_modules() if isinstance(layer, torch.nn.Linear)}
    return {name: weight.clone() for name, weight in network.state_dict().items()}, linear


def in_8_bits(this):
    """As ComfyUI-GGUF does: custom operations, whose layers unpack their weights when they are called."""
    import comfy.ops

    class Operations(comfy.ops.manual_cast):
        class Linear(comfy.ops.manual_cast.Linear):
            def forward_comfy_cast_weights(self, input):
                weight = self.codes.float() * self.step
                return torch.nn.functional.linear(input, weight, self.bias)

    weights, linear = matrices(this.model)
    steps = {name: weights[name].abs().amax(1, keepdim=True) / 127 for name in linear}
    codes = {name: (weights[name] / steps[name]).round() for name in linear}
    rounded = weights | {name: codes[name] * steps[name] for name in linear}
    model = model_of(this.case, Operations, weights)
    for name in linear:
        layer = model.get_model_object("diffusion_model").get_submodule(name.removesuffix(".weight"))
        layer.codes, layer.step, layer.comfy_cast_weights = codes[name].to(torch.int8), steps[name], True
        layer.weight.data.fill_(float("nan"))  # is not used
    return model, rounded


def in_fp8(this):
    """The host's fp8 storage: a weight type that its layers cast when they are called."""
    import comfy.ops

    weights, linear = matrices(this.model)
    rounded = weights | {name: weights[name].to(torch.float8_e4m3fn).float() for name in linear}
    model = model_of(this.case, comfy.ops.manual_cast, rounded)
    for name in linear:
        layer = model.get_model_object("diffusion_model").get_submodule(name.removesuffix(".weight"))
        layer.weight = torch.nn.Parameter(rounded[name].to(torch.float8_e4m3fn), requires_grad=False)
    return model, rounded


def in_mixed_precision(this):
    """The host's quantised checkpoints: tensors of fp8 with a scale a layer."""
    import comfy.ops

    weights, linear = matrices(this.model)
    scales = {name: weights[name].abs().amax() / 448 for name in linear}
    stored = {name: (weights[name] / scales[name]).to(torch.float8_e4m3fn) for name in linear}
    rounded = weights | {name: stored[name].float() * scales[name] for name in linear}
    layers = {name.removesuffix(".weight"): {"format": "float8_e4m3fn"} for name in linear}
    described = {
        f"{name}.comfy_quant": torch.tensor(list(json.dumps(layout).encode()), dtype=torch.uint8)
        for name, layout in layers.items()
    }
    scaled = {f"{name}_scale": scale for name, scale in scales.items()}
    operations = comfy.ops.mixed_precision_ops(layers, torch.float32, full_precision_mm=True)
    return model_of(this.case, operations, weights | stored | scaled | described), rounded


@pytest.mark.parametrize("quantise", [in_8_bits, in_fp8, in_mixed_precision], ids=["GGUF", "fp8", "mixed precision"])
def test_quantised_weights_are_edited_as_their_values_are(this, quantise):
    import comfy.ops

    model, values = quantise(this)
    plain = with_model(this, model_of(this.case, comfy.ops.disable_weight_init, values))
    assert (plain.sample() - this.sample()).norm() > 1e-4 * this.sample().norm()  # it is quantised
    assert_edits_alike(with_model(this, model), plain)


# --- compiled models --------------------------------------------------------------------------------------------------


def by_the_node(model):
    """The host's TorchCompileModel; the back end runs what was traced as it is."""
    from comfy_extras.nodes_torch_compile import TorchCompileModel

    return TorchCompileModel.execute(model, "eager")[0]


def by_blocks(model):
    """As packs compile a transformer's blocks, through the host's helper."""
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    network = model.get_model_object("diffusion_model")
    lists = [name for name, child in network.named_children() if isinstance(child, torch.nn.ModuleList)]
    keys = [f"diffusion_model.{name}.{i}" for name in lists for i in range(len(getattr(network, name)))]
    model = model.clone()
    set_torch_compile_wrapper(model, "eager", keys=keys)
    return model


def by_object_patch(model):
    """As older packs do."""
    model = model.clone()
    model.add_object_patch("diffusion_model", torch.compile(model.get_model_object("diffusion_model"), backend="eager"))
    return model


@pytest.mark.parametrize(
    ("family", "compiled"),
    [("Flux.1 Kontext", by_the_node), ("Qwen-Image-Edit", by_blocks), ("Flux.1 Kontext", by_object_patch)],
)
def test_a_compiled_model_is_edited_as_it_is_uncompiled(host, family, compiled):
    torch._dynamo.reset()
    this = Edit(host, CASES[family], guider="basic")
    this_compiled = with_model(this, compiled(this.model))
    assert_same(this_compiled.sample(), this.sample())  # traced without the pack
    assert_edits_alike(this_compiled, this)
    other = torch.ones_like(this.picture_mask(some_region(this.case)))
    got = this_compiled.sample(this_compiled.regularize(other, 0.5))
    assert_same(got, this.sample(this.regularize(other, 0.5)))
    assert_same(this_compiled.sample(), this.sample())


def test_a_compiled_unet_is_edited_as_it_is_uncompiled(host):
    torch._dynamo.reset()
    this = edit(host, levels=2)
    model = by_the_node(this.model)
    assert_same(this.sample(model), this.sample())
    record, plain = (this.probe(guider=this.make_guider(m))[0] for m in (model, this.model))
    for got, wanted in zip(record.attention, plain.attention, strict=True):
        assert_same(got, wanted)
    for got, wanted in zip(record.grams, plain.grams, strict=True):
        assert_same(got.products, wanted.products)
    # Until half of the sampling: what was traced of the first step would regularise the others too.
    got, wanted = (this.sample(this.regularize(left_half(), end=0.5, model=m)) for m in (model, this.model))
    assert_same(got, wanted)
    assert_same(this.sample(model), this.sample())


# --- networks of other packs ------------------------------------------------------------------------------------------


class ComfyFluxWrapper(torch.nn.Module):
    """As ComfyUI-nunchaku puts in the place of Flux: a network of another class, which calls attention of its own."""

    def __init__(self, network):
        super().__init__()
        self.inner, self.dtype = network, torch.float32

    def forward(self, x, timestep, context, y=None, guidance=None, control=None, transformer_options=None, **kwargs):
        return self.inner(x, timestep, context, y, guidance, kwargs.get("ref_latents"), None, {})


def wrapped(network):
    return ComfyFluxWrapper(network)


def derived(network):
    """As ComfyUI-nunchaku does for Qwen-Image: the host's class, in which blocks call attention without its options."""

    class NunchakuQwenImageTransformer2DModel(type(network)):
        def forward(self, x, timestep, context, *args, transformer_options=None, **kwargs):
            return super().forward(x, timestep, context, *args, transformer_options={}, **kwargs)

    network.__class__ = NunchakuQwenImageTransformer2DModel
    return network


@pytest.mark.parametrize(("family", "replaced"), [(FAMILIES[0], wrapped), (FAMILIES[1], derived)], ids=FAMILIES)
def test_a_network_of_another_pack_finds_a_region_and_keeps_the_outside_but_is_not_regularised(host, family, replaced):
    this = Edit(host, CASES[family])
    plain = this.sample()
    this.model.model.diffusion_model = network = replaced(this.model.model.diffusion_model)
    assert torch.equal(this.sample(), plain)
    assert this.probe()[0].change is not None
    mask = this.picture_mask(kept_region(this.case))
    assert_keeps_the_source(this.sample(this.keep(mask)), this)
    with pytest.raises(ValueError, match=f"LIME does not reach the attention of {type(network).__name__}"):
        this.regularize(mask)


# --- attention of other packs -----------------------------------------------------------------------------------------


def test_an_attention_that_takes_certain_widths_gets_no_other(this):
    """SageAttention: heads of 64, 96 or 128 channels, here this model's."""
    width = 32

    def sage(function, q, k, v, heads, *args, **kwargs):
        assert q.shape[-1] == k.shape[-1] == v.shape[-1] == (width if kwargs.get("skip_reshape") else heads * width)
        return function(q, k, v, heads, *args, **kwargs)

    model = this.model.clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = sage
    assert_edits_alike(with_model(this, model), this)
