"""Edits with models that see the picture as a reference latent: FLUX.1 Kontext, FLUX.2, OmniGen2."""

from typing import Any, ClassVar

from .edits import FOCUS, GROUPS, Edit, Trained, dual_guider
from .graph import Graph, Node, Output


class Kontext(Edit):
    """The distilled guidance is part of the conditioning, and there is no other branch."""

    TRAINED: ClassVar[Trained] = Trained(1.0, 20, 2.5, scheduler="simple")

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        add = self.graph.add
        with self.graph.column(GROUPS[0]):
            self.instruction = add("LIMEInstruction", "LIME Instruction", clip=self.clip, text=text)
            self._find_words(focus)
            self._scale()
            self._encode_picture()
            self.positive = reference(self.graph, "Instruction and picture", self.instruction, self.latent)

    def _prepare(self) -> None:
        given: dict[str, Any] = {"conditioning": self.positive, "guidance": self.guidance}
        self.positive = self.graph.add("FluxGuidance", "Text guidance", **given)["CONDITIONING"]

    def _guider(self, title: str, model: Output) -> Node:
        return self.graph.add("BasicGuider", title, model=model, conditioning=self.positive)


class Flux2Dev(Kontext):
    """As FLUX.1 Kontext, on a schedule of its own."""

    TRAINED: ClassVar[Trained] = Trained(1.0, 20, 4.0)

    def _schedule(self, steps: int | Output, **choices: Any) -> Node:
        size = self.graph.add("GetImageSize", "Its size", image=self.small)
        sides: dict[str, Any] = {"width": size["width"], "height": size["height"]}
        return self.graph.add("Flux2Scheduler", "Schedule", steps=steps, **sides)


class _TwoTexts(Kontext):
    """With an empty text beside the instruction, whose branch sees the picture too."""

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        super().instruct(text, focus)
        self.empty = self.graph.add("CLIPTextEncode", "Empty text", clip=self.clip, text="")
        self.negative = reference(self.graph, "Empty text and picture", self.empty, self.latent)

    def _prepare(self) -> None:
        """The guidance is the guider's."""


class Flux2Klein(_TwoTexts, Flux2Dev):
    """Distilled to 4 steps without guidance; its base model takes 20 steps and a guidance of 5."""

    TRAINED: ClassVar[Trained] = Trained(1.0, 4, 1.0)

    def _guider(self, title: str, model: Output) -> Node:
        return Edit._guider(self, title, model)


class OmniGen2(_TwoTexts):
    TRAINED: ClassVar[Trained] = Trained(1.0, 20, 5.0, 2.0, "simple")

    def _guider(self, title: str, model: Output) -> Node:
        return dual_guider(self, title, model, self.empty)


def reference(graph: Graph, title: str, encoded: Node, latent: Output) -> Output:
    return graph.add("ReferenceLatent", title, conditioning=Output(encoded.id, 0), latent=latent)["CONDITIONING"]
