"""Where an edit is, by what the model already predicts of the edited picture."""

from torch import Tensor


def change_map(estimate: Tensor, source: Tensor) -> Tensor:
    """How far an early estimate of the clean picture is from the source: float32 [B, h, w], each image's largest is 1.

    Both latents, [B, C, h, w] or [B, C, 1, h, w], in the model's units. Distances are Euclidean, over the channels. An
    image that does not change gets zeros. SpotEdit (arXiv 2512.22323) and RegionE (2510.25590) find what changes in
    this way.

    Raises ValueError when shapes disagree.
    """
    if estimate.shape != source.shape:
        raise ValueError(f"estimate is {list(estimate.shape)} and source is {list(source.shape)}: expected one shape")
    distance = (estimate.float() - source.float()).norm(dim=1).reshape(len(estimate), *estimate.shape[-2:])
    return _in_units_of_largest(distance)


def mix_witnesses(attention: Tensor, change: Tensor) -> Tensor:
    """Where both the words' attention and the early estimate say the edit is: float32 [B, H, W] in [0, 1].

    attention and change [B, H, W], at least 0. The geometric mean of the two, each in units of its image's largest.
    """
    return (_in_units_of_largest(attention) * _in_units_of_largest(change)).sqrt()


def _in_units_of_largest(values: Tensor) -> Tensor:
    largest = values.amax((1, 2), keepdim=True)
    return values.float() / largest.where(largest > 0, 1)
