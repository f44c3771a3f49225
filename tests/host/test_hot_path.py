"""In the steady state a step waits for no device, copies nothing between devices and pools nothing."""

from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from demo.host import pack_module
from editing import edit

WAITING = ("_local_scalar_dense", "nonzero", "unique", "equal", "is_nonzero", "masked_select")
POOLING = ("pool", "upsample")


class Operations(TorchDispatchMode):
    """Counts what is called."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def operations_of_a_step(this, model, monkeypatch):
    """Of the third of four steps: what is constant in a run has been made, and nothing ends."""
    counts, inner = [], this.host.samplers.CFGGuider.outer_predict_noise

    def counted(guider, *args, **kwargs):
        with Operations() as operations:
            result = inner(guider, *args, **kwargs)
        counts.append(operations.counts)
        return result

    monkeypatch.setattr(this.host.samplers.CFGGuider, "outer_predict_noise", counted)
    monkeypatch.setattr(this.host.samplers.CFGGuider, "__call__", lambda self, *a, **k: counted(self, *a, **k))
    this.sample(model)
    monkeypatch.undo()
    assert len(counts) == 4
    return counts[2]


def soft_region():
    return torch.rand(1, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("override", [False, True], ids=["extra channel", "mixture"])
def test_a_step_adds_nothing_that_waits_copies_or_pools(host, monkeypatch, override):
    this = edit(host)
    model = this.model.clone()
    if override:
        options = model.model_options["transformer_options"]
        options["optimized_attention_override"] = lambda func, *args, **kwargs: func(*args, **kwargs)
    plain = operations_of_a_step(this, model, monkeypatch)
    model = host.lime.LIMEKeepOutside.execute(this.regularize(soft_region(), strength=0.9, model=model), soft_region())[
        0
    ]
    patched = operations_of_a_step(this, model, monkeypatch)
    added = patched - plain
    assert added  # it does something
    assert not [name for name in added if name.startswith(WAITING) or any(part in name for part in POOLING)]
    assert patched["_to_copy"] == plain["_to_copy"]


def test_the_probe_waits_in_its_recorded_step_only(host, monkeypatch):
    this = edit(host)
    recorder = pack_module("nodes.hooks.recorder").Recorder
    counts, inner = [], recorder.predict_noise

    def counted(self, executor, *args):
        with Operations() as operations:
            result = inner(
                self, executor if len(counts) == 2 else lambda *a: torch.zeros(1), *args
            )  # without the host's
        counts.append(operations.counts)
        return result

    monkeypatch.setattr(recorder, "predict_noise", counted)
    this.probe(steps=3)
    assert not any(name.startswith(WAITING) for count in counts[:2] for name in count)
    assert counts[2]["_local_scalar_dense"] > 0


@contextmanager
def on_a_fake_gpu():
    """Tensors without contents on a device that is not there: what waits for it, or mixes devices, raises."""
    with FakeTensorMode(allow_non_fake_inputs=False) as mode:
        yield lambda t: mode.from_tensor(t).to("cuda") if isinstance(t, torch.Tensor) else t


@pytest.mark.parametrize("wider", [True, False], ids=["extra channel", "mixture"])
def test_regularising_runs_on_a_fake_gpu(host, wider):
    this = edit(host)
    module = pack_module("nodes.hooks.regularizer")
    uuids, text = ("a", "b", "c"), slice(0, 77)
    call = pack_module("nodes.hooks.families").Call(
        ("input", 1, 0), 0, (16, 16), (16, 16), uuids, slice(None), text, slice(None), wider
    )
    model = this.regularize(soft_region(), strength=0.9)
    (regularizer,) = model.get_wrappers("outer_sample", "lime")
    run = module.Run(regularizer.__self__, {"a", "b"}, first=1.0, last=0.0)
    q, k = torch.zeros(3, 256, 2, 16), torch.zeros(3, 77, 2, 16)
    run.attend(q, k, k, call, lambda q, k, v: q, torch.tensor(True), (16, 16))  # the plan, from real tensors
    with on_a_fake_gpu() as move:
        run.plans = {
            (*key[:-1], torch.device("cuda", 0)): plan._replace(
                regularization=plan.regularization._make(map(move, plan.regularization))
            )
            for key, plan in run.plans.items()
        }
        x, q, k = torch.zeros(1, 4, 16, 16), torch.zeros(3, 256, 2, 16), torch.zeros(3, 77, 2, 16)
        x, q, k, sigma = (t.to("cuda") for t in (x, q, k, torch.zeros(1)))
        kept = len(run.plans)
        seen = {}
        options = {"transformer_options": {}}
        run.predict_noise(lambda x, sigma, options, seed: seen.update(options), x, sigma, options, None)
        attention = seen["transformer_options"]["patches_replace"]["attn2"][("input", 1, 0)].keywords["around"]
        out = attention(q, k, k, call, attention=lambda q, k, v: q)
        assert out.shape == (3, 256, 2, 16) and out.device.type == "cuda"
        assert len(run.plans) == kept


def test_keeping_the_outside_runs_on_a_fake_gpu(host):
    run = pack_module("nodes.hooks.keep_outside").Run(soft_region(), torch.zeros(1, 4, 16, 16))
    x = torch.zeros(1, 4, 16, 16)
    constants = run._constants(x, SimpleNamespace(process_latent_in=lambda t: t))
    with on_a_fake_gpu() as move:
        x = torch.zeros(1, 4, 16, 16, device="cuda")
        run.constants = {(x.shape, x.dtype, x.device): tuple(move(t) for t in constants)}
        got = run.predict_noise(lambda *args: x, x, None, {}, None)
        assert got.device.type == "cuda" and len(run.constants) == 1
