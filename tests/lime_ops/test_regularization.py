"""regularized_attention against plain loops over pixels and heads."""

import numpy as np
import pytest
import torch
from einops import rearrange

from lime_ops import attention_probabilities, plan_regularization, regularized_attention
from lime_ops.regularization import plain_attention


def example(batch=2, pixels=6, tokens=5, heads=3, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(batch, n, heads * width, generator=generator) for n in (pixels, tokens, tokens))
    region = torch.rand(batch, pixels, generator=generator) > 0.5
    unrelated = torch.tensor([True, False, True, True, False])
    return q, k, v, region, unrelated


def split(*tensors, heads=3):
    return tuple(t.unflatten(-1, (heads, -1)) for t in tensors)


def loop_attention(q, k, v, heads, region, unrelated, strength):
    """log(1 - strength * region) added to the unrelated tokens' scores, before a softmax in each head and pixel."""
    out = np.zeros(q.shape)
    width = q.shape[-1] // heads
    for b in range(q.shape[0]):
        for n in range(q.shape[1]):
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                scores = k[b, :, part].double().numpy() @ q[b, n, part].double().numpy() / width**0.5
                share = 1 - strength * float(region[b, n])
                weights = np.exp(scores - scores.max()) * np.where(unrelated.numpy(), share, 1.0)
                if weights.sum() == 0:
                    weights = np.ones_like(weights)
                out[b, n, part] = weights @ v[b, :, part].double().numpy() / weights.sum()
    return torch.from_numpy(out).float()


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.999, 1.0])
def test_hard_region(strength):
    q, k, v, region, unrelated = example()
    got = regularized_attention(q, k, v, 3, region, unrelated, strength)
    torch.testing.assert_close(got, loop_attention(q, k, v, 3, region, unrelated, strength))


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_soft_region(strength):
    q, k, v, region, unrelated = example()
    soft = region * torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0, 1.0])
    got = regularized_attention(q, k, v, 3, soft, unrelated, strength)
    torch.testing.assert_close(got, loop_attention(q, k, v, 3, soft, unrelated, strength))


def test_a_pixel_of_full_strength_attends_to_no_unrelated_token():
    q, k, v, region, unrelated = example()
    loud = v + 1e6 * unrelated[:, None]
    got = regularized_attention(q, k, loud, 3, region, unrelated, 1.0)
    torch.testing.assert_close(got[region], regularized_attention(q, k, v, 3, region, unrelated, 1.0)[region])


def test_related_tokens_that_nobody_attends_to_are_still_exact_at_full_strength():
    q, k, v, region, unrelated = example()
    k = k - 40 * (~unrelated)[:, None] * q.mean(1, keepdim=True).sign()
    shares = attention_probabilities(*split(q, k))[..., ~unrelated].sum(-1)
    assert shares.min() < 1e-12  # of the attention, before
    got = regularized_attention(q, k, v, 3, region, unrelated, 1.0)
    torch.testing.assert_close(got, loop_attention(q, k, v, 3, region, unrelated, 1.0))


def test_without_a_related_token_all_weigh_the_same():
    q, k, v, region, _ = example()
    got = regularized_attention(q, k, v, 3, region, torch.ones(5, dtype=torch.bool), 1.0)
    torch.testing.assert_close(got[region], v.mean(1)[:, None].expand_as(q)[region])


def test_outside_the_region_nothing_changes():
    q, k, v, region, unrelated = example()
    plain = regularized_attention(q, k, v, 3, torch.zeros_like(region), unrelated, 1.0)
    got = regularized_attention(q, k, v, 3, region, unrelated, 1.0)
    torch.testing.assert_close(got[~region], plain[~region])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    q, k, v, region, unrelated = example()
    for soft in (region, region * 0.7):
        got = regularized_attention(q.to(dtype), k.to(dtype), v.to(dtype), 3, soft, unrelated, 1.0)
        assert got.dtype == dtype
        torch.testing.assert_close(got.float(), loop_attention(q, k, v, 3, soft, unrelated, 1.0), atol=3e-2, rtol=3e-2)


@pytest.mark.parametrize("strength", [0.3, 0.999, 1.0])
@pytest.mark.parametrize("soft", [False, True])
def test_a_back_end_of_one_width_gets_a_mixture_of_plain_calls(strength, soft):
    q, k, v, region, unrelated = example()
    region = region * torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0, 1.0]) if soft else region
    lengths = []

    def attention(q, k, v):
        assert q.shape[-1] == k.shape[-1] == v.shape[-1] == 4
        lengths.append(k.shape[1])
        return plain_attention(q, k, v)

    wanted = loop_attention(q, k, v, 3, region, unrelated, strength)
    q, k, v = split(q, k, v)
    plan = plan_regularization(region, unrelated, strength, q, extra_channel=False)
    torch.testing.assert_close(plan(q, k, v, attention).flatten(2), wanted)
    assert lengths == ([5, 2] if strength == 1 and not soft else [5, 2, 3])


@pytest.mark.parametrize("extra_channel", [False, True])
def test_a_step_that_is_not_active_is_plain(extra_channel):
    q, k, v, region, unrelated = example()
    plan = plan_regularization(region, unrelated, 0.9, *split(q), extra_channel)
    for active in (True, False):
        got = plan(*split(q, k, v), plain_attention, torch.tensor(active))
        torch.testing.assert_close(got.flatten(2), loop_attention(q, k, v, 3, region, unrelated, 0.9 * active))


@pytest.mark.parametrize("extra_channel", [False, True])
def test_keys_with_fewer_heads_than_queries(extra_channel):
    q, k, v, region, unrelated = example(heads=4)
    few_k, few_v = (t[..., :8] for t in (k, v))
    k, v = (t.unflatten(-1, (2, 4)).repeat_interleave(2, 2).flatten(2) for t in (few_k, few_v))
    wanted = loop_attention(q, k, v, 4, region, unrelated, 0.7)

    def attention(q, k, v):
        return plain_attention(q, *(t.repeat_interleave(2, 2) for t in (k, v)))

    (q,), (k, v) = split(q, heads=4), split(few_k, few_v, heads=2)
    plan = plan_regularization(region, unrelated, 0.7, q, extra_channel)
    torch.testing.assert_close(plan(q, k, v, attention).flatten(2), wanted)


def test_nothing_is_planned_where_nothing_is_regularised():
    q, _, _, region, unrelated = example()
    for change in ({"strength": 0.0}, {"region": torch.zeros_like(region)}, {"unrelated": torch.zeros_like(unrelated)}):
        values = {"region": region, "unrelated": unrelated, "strength": 1.0} | change
        assert plan_regularization(**values, like=q, extra_channel=True) is None


def rounding(dtype, strength, extra_channel):
    """Largest error of regularised attention, and of plain attention, against double precision: sharp scores."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, n, 8 * 40, generator=generator) for n in (512, 77, 77))
    q, k, v = (3 * q).to(dtype), k.to(dtype), v.to(dtype)
    unrelated = torch.ones(77, dtype=torch.bool)
    unrelated[3:6] = False
    region = torch.rand(1, 512, generator=generator).where(torch.rand(1, 512, generator=generator) > 0.3, 1.0)

    def dense(share):
        one, two, three = (rearrange(t.double(), "b n (h c) -> b h n c", h=8) for t in (q, k, v))
        penalty = torch.log1p(-share.double())[:, None, :, None].where(unrelated, 0.0)
        return rearrange((one @ two.mT * 40**-0.5 + penalty).softmax(-1) @ three, "b h n c -> b n (h c)")

    heads = split(q, k, v, heads=8)
    got = plan_regularization(region, unrelated, strength, heads[0], extra_channel)(*heads, plain_attention).flatten(2)
    plain = plain_attention(*heads).flatten(2)
    off, off_plain = got - dense(strength * region), plain - dense(torch.zeros_like(region))
    return off.abs().max().item(), off_plain.abs().max().item()


@pytest.mark.parametrize("strength", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_extra_channel_rounds_as_plain_attention_does(dtype, strength):
    error, plain = rounding(dtype, strength, extra_channel=True)
    # Half types round the keys once more, since a wider head divides by more.
    assert error < (1.5 if dtype == torch.float32 else 4) * plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": torch.zeros(2, 7)}, r"region is \[2, 7\]: expected \[2, 6\]"),
        ({"unrelated": torch.zeros(5)}, r"unrelated is torch.float32 \[5\]: expected torch.bool \[T\]"),
        ({"strength": 1.5}, "strength is 1.5: expected a value from 0 to 1"),
    ],
)
def test_bad_values_are_named(change, message):
    q, k, v, region, unrelated = example()
    values = {"region": region, "unrelated": unrelated, "strength": 1.0} | change
    with pytest.raises(ValueError, match=message):
        regularized_attention(q, k, v, 3, **values)
