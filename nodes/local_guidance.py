"""LIMELocalGuidance: an edit that acts inside a region only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import comfy.utils
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from comfy_api.latest import io
from torch import Tensor
from torch.nn import functional as F

from ..lime_ops import cover_region
from .attention_hooks import carries, check_fit
from .sockets import Tokens, TokensSocket, mask_values

KEY = "lime_local_guidance"  # of our wrappers on a model
SOURCE, UNGUIDED = "source picture", "no text guidance"


class LocalGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMELocalGuidance",
            display_name="LIME Local Guidance",
            category="LIME",
            description=(
                "Lets the edit act inside the mask only: outside, every prediction is the source picture, or the one "
                "without instruction. Unlike a noise mask it may join in the middle of sampling, after LIME Probe. Use "
                "it with LIME Attention Regularize Model or alone. The model that comes in is unchanged."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The instruction-editing model, regularised or not."),
                io.Mask.Input("mask", tooltip="The region, from LIME Attention RoI or any other mask node."),
                TokensSocket.Input("tokens", tooltip="From the LIME Instruction that is sampled."),
                io.Combo.Input(
                    "outside",
                    options=[SOURCE, UNGUIDED],
                    default=SOURCE,
                    tooltip=f"'{SOURCE}': the source stays, to the latent's pixel. '{UNGUIDED}': the model decides "
                    "without the instruction.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Sample with this model.")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, mask: Tensor, tokens: Tokens, outside: str = SOURCE) -> io.NodeOutput:
        if model.get_wrappers(WrappersMP.CALC_COND_BATCH, KEY):
            raise ValueError("the model already has a local region: LIME Local Guidance works once a model.")
        local = _Local(mask_values(mask), tokens.embedding, outside == SOURCE)
        model = model.clone()
        model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, local.outer_sample)
        model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, KEY, local.calc_cond_batch)
        return io.NodeOutput(model)


@dataclass(frozen=True, eq=False)
class _Local:
    region: Tensor  # float [1 or B, H, W] in [0, 1]
    embedding: Tensor  # [1 or B, T, C], of the instruction
    keep_source: bool

    def outer_sample(self, executor: WrapperExecutor, noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """OUTER_SAMPLE wrapper: refuses what does not fit before anything is sampled."""
        conds = executor.class_obj.conds
        check_fit(self.region, self.embedding, noise, conds)
        if self.keep_source and _picture(conds.values()) is None:
            raise ValueError(
                f"no conditioning carries the source picture, so '{SOURCE}' cannot be kept: wire the conditionings "
                f"through InstructPixToPixConditioning, or choose '{UNGUIDED}'."
            )
        if not self.keep_source and not any(cond and not self._instructs(cond) for cond in conds.values()):
            raise ValueError(
                f"'{UNGUIDED}' needs a branch without the instruction to put in its place outside the mask: "
                "use DualCFGGuider or CFGGuider instead of BasicGuider."
            )
        return executor(noise, *args, **kwargs)

    def calc_cond_batch(
        self, executor: WrapperExecutor, model: Any, conds: list, x: Tensor, timestep: Tensor, model_options: dict
    ) -> list[Tensor]:
        """CALC_COND_BATCH wrapper: predictions (of the clean latent) as they are inside, replaced outside."""
        predictions = executor(model, conds, x, timestep, model_options)
        h, w = x.shape[-2:]
        # Half a latent pixel more than the region touches: the decoder spreads each latent pixel that far.
        inside = F.max_pool2d(cover_region(self.region.to(x), (2 * h, 2 * w))[:, None], 4, 2, 1)
        if self.keep_source:
            picture = comfy.utils.repeat_to_batch_size(_picture(conds), x.shape[0])
            outside = model.process_latent_in(picture.to(x))
            return [outside + inside * (p - outside) if cond else p for p, cond in zip(predictions, conds, strict=True)]
        others = [i for i, cond in enumerate(conds) if cond and not self._instructs(cond)]
        if not others:  # a guidance scale of 1: the host evaluates no other branch
            return predictions
        outside = predictions[max(others, key=lambda i: any("concat_latent_image" in c for c in conds[i]))]
        return [
            outside + inside * (p - outside) if cond and self._instructs(cond) else p
            for p, cond in zip(predictions, conds, strict=True)
        ]

    def _instructs(self, cond: list[dict]) -> bool:
        return any(carries(self.embedding, c) for c in cond)


def _picture(conds: Iterable[list[dict] | None]) -> Tensor | None:
    """The source picture's latent [B, 4, h, w] that a conditioning carries, as its autoencoder gave it."""
    pictures = (c.get("concat_latent_image") for cond in conds for c in cond or [])
    return next((p for p in pictures if p is not None), None)
