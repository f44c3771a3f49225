"""A model whose predictions outside a mask are the picture to edit."""

from dataclasses import dataclass
from typing import Any

import comfy.model_patcher
from comfy.patcher_extension import WrapperExecutor, WrappersMP, add_wrapper_with_key
from comfy.samplers import Sampler
from torch import Tensor

from ...lime_ops import keep_outside, mask_values, widen_region
from .conditionings import check_mask, check_source, check_start, fit_source
from .families import family_of, latent_pixels

KEY = "lime_keep_outside"  # of the wrappers on a model


def keep_outside_model(
    model: comfy.model_patcher.ModelPatcher, mask: Tensor, source: Tensor | None = None
) -> comfy.model_patcher.ModelPatcher:
    """A clone that keeps the source outside the mask [1 or B, H, W], to the latent's pixel.

    source: latent [1 or B, C, (1,) h, w] as the autoencoder gave it; None: the one that the conditionings carry. Raises
    ValueError when the model keeps an outside already.
    """
    if model.get_wrappers(WrappersMP.OUTER_SAMPLE, KEY):
        raise ValueError("the model already keeps an outside: LIME Keep Outside works once a model.")
    keeper = _Keeper(mask_values(mask), source, latent_pixels(model))
    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, keeper.outer_sample)
    return model


@dataclass(frozen=True, eq=False)
class _Keeper:
    """Hangs on a model clone."""

    region: Tensor  # float [1 or B, H, W] in [0, 1]
    source: Tensor | None
    pixels: int  # of the picture, to a latent pixel

    def outer_sample(
        self,
        executor: WrapperExecutor,
        noise: Tensor,
        latent: Tensor,
        sampler: Sampler,
        sigmas: Tensor,
        noise_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """OUTER_SAMPLE wrapper: refuses what does not fit before anything is sampled, then hangs in for this run."""
        guider = executor.class_obj
        check_mask(self.region, noise, self.pixels)
        check_start(noise, noise_mask)
        family = family_of(guider.model_patcher)
        family.check(guider.conds, noise.shape[1])
        source = family.find_source(guider.conds) if self.source is None else self.source
        if source is None:
            raise ValueError(
                "no conditioning carries the source picture, so LIME Keep Outside has nothing to keep: wire the "
                "conditionings through InstructPixToPixConditioning or ReferenceLatent, as the model needs, or the "
                "picture's latent into `latent`."
            )
        check_source(source, noise)
        run = Run(self.region, source)
        add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, run.predict_noise, guider.model_options, True)
        return executor(noise, latent, sampler, sigmas, noise_mask, *args, **kwargs)


class Run:
    """One run of a sampler: what is constant in it is made at its first use."""

    def __init__(self, region: Tensor, source: Tensor) -> None:
        self.region, self.source = region, source
        self.constants: dict[tuple, tuple[Tensor, Tensor]] = {}  # (source, inside)

    def predict_noise(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, model_options: dict, seed: int | None
    ) -> Tensor:
        """PREDICT_NOISE wrapper: the guided prediction (of the clean latent) as it is inside, the source outside.

        After guidance, so that nothing which acts behind the branches (SAG, CFGZeroStar, RescaleCFG ...) moves it.
        """
        prediction = executor(x, timestep, model_options, seed)
        key = (x.shape, x.dtype, x.device)
        if key not in self.constants:
            self.constants[key] = self._constants(x, executor.class_obj.inner_model)
        return keep_outside(prediction, *self.constants[key])

    def _constants(self, x: Tensor, model: Any) -> tuple[Tensor, Tensor]:
        inside = widen_region(self.region.to(x), (x.shape[-2], x.shape[-1]))
        return fit_source(self.source, x, model), inside if x.ndim == 4 else inside.unsqueeze(2)
