"""A model whose predictions outside a mask are the picture to edit."""

from dataclasses import dataclass
from typing import Any

import comfy.model_patcher
import comfy.utils
from comfy.patcher_extension import WrapperExecutor, WrappersMP, add_wrapper_with_key
from torch import Tensor

from ...lime_ops import keep_outside, mask_values, widen_region
from .conditionings import check_mask
from .families import find_source

KEY = "lime_keep_outside"  # of the wrappers on a model


def keep_outside_model(
    model: comfy.model_patcher.ModelPatcher, mask: Tensor, source: Tensor | None = None
) -> comfy.model_patcher.ModelPatcher:
    """A clone that keeps the source outside the mask [1 or B, H, W], to the latent's pixel.

    source: latent [1 or B, C, h, w] as the autoencoder gave it; None: the one that the conditionings carry. Raises
    ValueError when the model keeps an outside already.
    """
    if model.get_wrappers(WrappersMP.OUTER_SAMPLE, KEY):
        raise ValueError("the model already keeps an outside: LIME Keep Outside works once a model.")
    keeper = _Keeper(mask_values(mask), source)
    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, keeper.outer_sample)
    return model


@dataclass(frozen=True, eq=False)
class _Keeper:
    """Hangs on a model clone."""

    region: Tensor  # float [1 or B, H, W] in [0, 1]
    source: Tensor | None

    def outer_sample(self, executor: WrapperExecutor, noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """OUTER_SAMPLE wrapper: refuses what does not fit before anything is sampled, then hangs in for this run."""
        guider = executor.class_obj
        check_mask(self.region, noise)
        source = find_source(guider.conds.values()) if self.source is None else self.source
        if source is None:
            raise ValueError(
                "no conditioning carries the source picture, so LIME Keep Outside has nothing to keep: wire the "
                "conditionings through InstructPixToPixConditioning, or the picture's latent into `latent`."
            )
        run = Run(self.region, source)
        add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, KEY, run.calc_cond_batch, guider.model_options, True)
        return executor(noise, *args, **kwargs)


class Run:
    """One run of a sampler: what is constant in it is made at its first use."""

    def __init__(self, region: Tensor, source: Tensor) -> None:
        self.region, self.source = region, source
        self.constants: dict[tuple, tuple[Tensor, Tensor]] = {}  # (source, inside)

    def calc_cond_batch(
        self, executor: WrapperExecutor, model: Any, conds: list, x: Tensor, timestep: Tensor, model_options: dict
    ) -> list[Tensor]:
        """CALC_COND_BATCH wrapper: predictions (of the clean latent) as they are inside, the source outside."""
        predictions = executor(model, conds, x, timestep, model_options)
        key = (x.shape, x.dtype, x.device)
        if key not in self.constants:
            picture = comfy.utils.repeat_to_batch_size(self.source, x.shape[0])
            inside = widen_region(self.region.to(x), (x.shape[-2], x.shape[-1]))
            self.constants[key] = (model.process_latent_in(picture.to(x)), inside)
        source, inside = self.constants[key]
        return [keep_outside(p, source, inside) if cond else p for p, cond in zip(predictions, conds, strict=True)]
