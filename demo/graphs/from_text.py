"""Edits with models that make pictures from a text alone: image to image, and inpainting."""

from typing import Any, ClassVar

from .edits import FOCUS, GROUPS, STRENGTH, Edit, Trained
from .graph import Node, Output


class ImageToImage(Edit):
    """The picture is the latent that sampling starts from, with noise on it. Of any model: SD1.5, SDXL, Chroma, ..."""

    TRAINED: ClassVar[Trained] = Trained(1.0, 20, 7.0, scheduler="simple")
    SETTINGS: ClassVar[dict[str, float]] = {"denoise": 0.6, "megapixels": 1.0}

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        """text: what the picture shows after the edit."""
        add = self.graph.add
        with self.graph.column(GROUPS[0]):
            self.instruction = add("LIMEInstruction", "LIME Instruction", clip=self.clip, text=text)
            self._find_words(focus)
            empty = add("CLIPTextEncode", "Empty text", clip=self.clip, text="")
            self._scale()
            self._encode_picture()
            self.source = self.latent
            self.positive, self.negative = self.instruction["conditioning"], empty["CONDITIONING"]

    def _schedule(self, steps: int | Output, **choices: Any) -> Node:
        return super()._schedule(steps, denoise=self.more["denoise"])


class Inpainting(ImageToImage):
    """Finds the region with the whole picture masked, as the host fills in, and inpaints it from the start."""

    TRAINED: ClassVar[Trained] = Trained(0.25, 20, 7.0, scheduler="simple")
    SETTINGS: ClassVar[dict[str, float]] = {"denoise": 0.8, "megapixels": 0.25}

    def sample(self, mask: Output, strength: float | Output = STRENGTH) -> None:
        given: dict[str, Any] = {"pixels": self.small, "mask": mask, "noise_mask": False}
        branches: dict[str, Any] = {"positive": self.positive, "negative": self.negative}
        hole = self.graph.add("InpaintModelConditioning", "Hole", **branches, vae=self.vae, **given)
        self.positive, self.negative = hole["positive"], hole["negative"]
        self.sample_again(mask, strength=strength)
