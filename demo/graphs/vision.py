"""Edits with models whose text encoder sees the pictures too: Qwen-Image-Edit, LongCat, Mage-Flow.

Another node encodes then, and LIME Instruction finds the words in what it made.
"""

from typing import Any, ClassVar

from .edits import FOCUS, GROUPS, Edit, Trained
from .graph import Node, Output
from .references import reference

TEXT, EMPTY = "Encode text with picture", "Empty text with picture"  # titles


class QwenImageEdit(Edit):
    TRAINED: ClassVar[Trained] = Trained(1.0, 20, 2.5, scheduler="simple")
    SHIFT: ClassVar[float] = 3.0  # of the schedule, as in the host's own template

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        with self.graph.column(GROUPS[0]):
            self._scale()
            self._instruct(self._encode(TEXT, text), text, focus)
            empty = self._encode(EMPTY, "")
            self._encode_picture()
            self.positive = reference(self.graph, "Instruction and picture", self.instruction, self.latent)
            self.negative = reference(self.graph, "Empty text and picture", empty, self.latent)

    def _instruct(self, encoded: Node, text: str | Output, focus: str | Output) -> None:
        given: dict[str, Any] = {"clip": self.clip, "text": text, "conditioning": Output(encoded.id, 0)}
        self.instruction = self.graph.add("LIMEInstruction", "LIME Instruction", **given)
        self._find_words(focus)

    def _encode(self, title: str, text: str | Output) -> Node:
        seen: dict[str, Any] = {"clip": self.clip, "image": self.small}
        return self.graph.add("TextEncodeQwenImageEdit", title, **seen, prompt=text)

    def _prepare(self) -> None:
        """As in the host's own template for this model."""
        shifted = self.graph.add("ModelSamplingAuraFlow", "Shift", model=self.model, shift=self.SHIFT)["MODEL"]
        self.model = self.graph.add("CFGNorm", "CFG Norm", model=shifted, strength=1.0)["patched_model"]


class QwenImageEditPlus(QwenImageEdit):
    """2509 and 2511, of one to three pictures.

    Their node encodes the pictures itself, each at a size that it chooses: the source is encoded once more at the
    size that is sampled.
    """

    TRAINED: ClassVar[Trained] = Trained(1.0, 20, 4.0, scheduler="simple")
    PICTURES: ClassVar[tuple[str, ...]] = ("image2", "image3")
    SHIFT: ClassVar[float] = 3.1

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        with self.graph.column(GROUPS[0]):
            self._scale()
            self._instruct(self._encode(TEXT, text), text, focus)
            self.positive = self.instruction["conditioning"]
            self.negative = self._encode(EMPTY, "")["CONDITIONING"]
            self._encode_picture()
            self.source = self.latent

    def _encode(self, title: str, text: str | Output) -> Node:
        more = {name: self.more.get(name) for name in self.PICTURES}
        seen: dict[str, Any] = {"clip": self.clip, "vae": self.vae, "image1": self.small, **more}
        return self.graph.add("TextEncodeQwenImageEditPlus", title, **seen, prompt=text)


class LongCat(QwenImageEdit):
    TRAINED: ClassVar[Trained] = Trained(1.0, 50, 4.5, scheduler="simple")

    def _prepare(self) -> None:
        """Its references are numbered; the host's default for this network moves them aside."""
        self.positive, self.negative = (
            self.graph.add(
                "FluxKontextMultiReferenceLatentMethod",
                title,
                conditioning=conditioning,
                reference_latents_method="index",
            )["CONDITIONING"]
            for title, conditioning in (("Numbered", self.positive), ("Numbered, empty", self.negative))
        )


class MageFlow(QwenImageEdit):
    """One node encodes both texts and the picture, and makes the latent."""

    TRAINED: ClassVar[Trained] = Trained(1.0, 30, 5.0, scheduler="simple")

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        with self.graph.column(GROUPS[0]):
            self._scale()
            seen: dict[str, Any] = {"clip": self.clip, "vae": self.vae, "images.image_1": self.small}
            encoded = self.graph.add("TextEncodeMageFlowEdit", TEXT, **seen, prompt=text)
            self._instruct(encoded, text, focus)
            self.positive = self.instruction["conditioning"]
            self.negative, self.latent = encoded["negative"], encoded["latent"]

    def _prepare(self) -> None:
        """The model is sampled as it is."""
