"""LIMELocalGuidance: text guidance that acts inside a region only."""

from dataclasses import dataclass
from typing import Any

from comfy.patcher_extension import WrapperExecutor, WrappersMP
from comfy_api.latest import io
from torch import Tensor
from torch.nn import functional as F

from .attention_hooks import carries, check_fit
from .sockets import Tokens, TokensSocket

KEY = "lime_local_guidance"  # of our wrappers on a model


class LocalGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LIMELocalGuidance",
            display_name="LIME Local Guidance",
            category="LIME",
            description=(
                "Outside the mask, the instruction's prediction is replaced by the one without instruction, so that "
                "text guidance acts inside only and the rest of the picture stays. Use it with LIME Attention "
                "Regularize Model or alone, with DualCFGGuider or CFGGuider. The model that comes in is unchanged."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The instruction-editing model, regularised or not."),
                io.Mask.Input("mask", tooltip="The region, from LIME Attention RoI or any other mask node."),
                TokensSocket.Input("tokens", tooltip="From the LIME Instruction that is sampled."),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Sample with this model.")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, mask: Tensor, tokens: Tokens) -> io.NodeOutput:
        if model.get_wrappers(WrappersMP.CALC_COND_BATCH, KEY):
            raise ValueError("the model already has a local region: LIME Local Guidance works once a model.")
        region = mask.reshape(-1, *mask.shape[-2:]).float().clamp(0, 1)
        local = _Local(region, tokens.embedding)
        model = model.clone()
        model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, local.outer_sample)
        model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, KEY, local.calc_cond_batch)
        return io.NodeOutput(model)


@dataclass(frozen=True, eq=False)
class _Local:
    region: Tensor  # float [1 or B, H, W] in [0, 1]
    embedding: Tensor  # [1, T, C], of the instruction

    def outer_sample(self, executor: WrapperExecutor, noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """OUTER_SAMPLE wrapper: refuses what does not fit before anything is sampled."""
        conds = executor.class_obj.conds
        check_fit(self.region, self.embedding, noise, conds)
        if not any(cond and not self._instructs(cond) for cond in conds.values()):
            raise ValueError(
                "LIME Local Guidance needs a branch without the instruction to put in its place outside the mask: "
                "use DualCFGGuider or CFGGuider instead of BasicGuider."
            )
        return executor(noise, *args, **kwargs)

    def calc_cond_batch(
        self, executor: WrapperExecutor, model: Any, conds: list, x: Tensor, timestep: Tensor, model_options: dict
    ) -> list[Tensor]:
        """CALC_COND_BATCH wrapper: the instruction's prediction inside, that of the image alone outside."""
        predictions = executor(model, conds, x, timestep, model_options)
        others = [i for i, cond in enumerate(conds) if cond and not self._instructs(cond)]
        if not others:  # a guidance scale of 1: the host evaluates no other branch
            return predictions
        rest = predictions[max(others, key=lambda i: any("concat_latent_image" in c for c in conds[i]))]
        region = F.interpolate(self.region[:, None].to(x), x.shape[-2:], mode="area")
        return [
            rest + region * (p - rest) if cond and self._instructs(cond) else p
            for p, cond in zip(predictions, conds, strict=True)
        ]

    def _instructs(self, cond: list[dict]) -> bool:
        return any(carries(self.embedding, c) for c in cond)
