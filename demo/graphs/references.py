"""Edits with models that see the picture as a reference latent: FLUX.1 Kontext, Qwen-Image-Edit."""

from typing import Any

from .edits import FOCUS, GROUPS, Edit, Trained, aliases, edit_blueprint
from .graph import Graph, Node, Output


class Kontext(Edit):
    """The distilled guidance is part of the conditioning, and there is no other branch."""

    TRAINED = Trained(1.0, 20, 2.5, scheduler="simple")

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        add = self.graph.add
        with self.graph.column(GROUPS[0]):
            self.instruction = add("LIMEInstruction", "LIME Instruction", clip=self.clip, text=text)
            self.words = _words(self.graph, self.instruction, focus)
            self._scale()
            self.latent = add("VAEEncode", "Encode picture", pixels=self.small, vae=self.vae)["LATENT"]
            self.positive = _reference(self.graph, "Instruction and picture", self.instruction, self.latent)

    def _prepare(self) -> None:
        given: dict[str, Any] = {"conditioning": self.positive, "guidance": self.guidance}
        self.positive = self.graph.add("FluxGuidance", "Text guidance", **given)["CONDITIONING"]

    def _guider(self, title: str, model: Output) -> Node:
        return self.graph.add("BasicGuider", title, model=model, conditioning=self.positive)


class QwenImageEdit(Edit):
    """The text encoder reads the picture too, so that another node encodes and LIME Instruction finds the words."""

    TRAINED = Trained(1.0, 20, 2.5, scheduler="simple")

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        add = self.graph.add
        with self.graph.column(GROUPS[0]):
            self._scale()
            seen: dict[str, Any] = {"clip": self.clip, "image": self.small}
            encoded = add("TextEncodeQwenImageEdit", "Encode text with picture", **seen, prompt=text)["CONDITIONING"]
            given: dict[str, Any] = {"clip": self.clip, "text": text, "conditioning": encoded}
            self.instruction = add("LIMEInstruction", "LIME Instruction", **given)
            self.words = _words(self.graph, self.instruction, focus)
            empty = add("TextEncodeQwenImageEdit", "Empty text with picture", **seen, prompt="")
            self.latent = add("VAEEncode", "Encode picture", pixels=self.small, vae=self.vae)["LATENT"]
            self.positive = _reference(self.graph, "Instruction and picture", self.instruction, self.latent)
            self.negative = _reference(self.graph, "Empty text and picture", empty, self.latent)

    def _prepare(self) -> None:
        """As in the host's own template for this model."""
        shifted = self.graph.add("ModelSamplingAuraFlow", "Shift", model=self.model, shift=3.0)["MODEL"]
        self.model = self.graph.add("CFGNorm", "CFG Norm", model=shifted, strength=1.0)["patched_model"]

    def _guider(self, title: str, model: Output) -> Node:
        branches: dict[str, Any] = {"positive": self.positive, "negative": self.negative}
        return self.graph.add("CFGGuider", title, model=model, **branches, cfg=self.guidance)


def edit_kontext(node_info: dict) -> Graph:
    graph = edit_blueprint("LIME Edit (FLUX Kontext)", node_info, Kontext)
    graph.description = "An instruction changes only the region that it is about. FLUX.1 Kontext."
    graph.aliases = aliases("flux kontext", "kontext")
    return graph


def edit_qwen(node_info: dict) -> Graph:
    graph = edit_blueprint("LIME Edit (Qwen-Image-Edit)", node_info, QwenImageEdit)
    graph.description = "An instruction changes only the region that it is about. Qwen-Image-Edit."
    graph.aliases = aliases("qwen image edit", "qwen")
    return graph


def _words(graph: Graph, instruction: Node, focus: str | Output) -> Node:
    return graph.add("LIMEWords", "LIME Words", shows=90, instruction=instruction["instruction"], focus=focus)


def _reference(graph: Graph, title: str, encoded: Node, latent: Output) -> Output:
    return graph.add("ReferenceLatent", title, conditioning=Output(encoded.id, 0), latent=latent)["CONDITIONING"]
