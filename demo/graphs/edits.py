"""Edits as graphs: the same description wired in the open, and as Subgraph Blueprints."""

from typing import Any, ClassVar, NamedTuple

from .graph import NARROW, Graph, Node, Output

FOCUS, THRESHOLD, STRENGTH = "", 0.6, 0.9
GROUPS = ("1 · Instruction", "2 · Sampling", "3 · Region", "4 · Edit in the region", "5 · Result")


class Trained(NamedTuple):
    """What a model was trained on, or is usually run with."""

    megapixels: float | None  # None: pictures are taken as they are
    steps: int
    text_guidance: float
    image_guidance: float = 1.0
    scheduler: str = "normal"


INSTRUCT_PIX2PIX = Trained(0.25, 30, 5.5, 1.5)
MINIATURE = Trained(None, 12, 5.0)


class Edit:
    """The nodes of an edit, a column of the graph for each method in the order they are called.

    What differs from family to family stands in its class: `instruct`, `_prepare`, `_schedule` and `_guider`.
    """

    TRAINED: ClassVar[Trained] = INSTRUCT_PIX2PIX
    PICTURES: ClassVar[tuple[str, ...]] = ()  # more of them, none of which is needed
    SETTINGS: ClassVar[dict[str, float]] = {}  # that only this family has, with their defaults
    instruction: Node  # these are there once the instruction is encoded
    words: Node
    latent: Output  # to sample from
    positive: Output
    negative: Output
    source: Output | None = None  # the picture's latent, where the conditionings do not carry it

    def __init__(self, graph: Graph, wires: list[Output], trained: Trained | None = None) -> None:
        """wires: image, model, clip, vae. trained: by default as the family's models usually are."""
        self.graph, self.trained = graph, trained or self.TRAINED
        self.image, self.model, self.clip, self.vae = wires
        self.small = self.image
        self.crop: dict[str, Any] = {}
        self.more: dict[str, Any] = dict(self.SETTINGS)  # and the further pictures, when there are any

    def instruct(self, text: str | Output, focus: str | Output = FOCUS) -> None:
        """Encodes the instruction, and the picture at the size that the model was trained on."""
        raise NotImplementedError

    def schedule(
        self, seed: int | Output, steps: int | Output | None = None, guidance: float | Output | None = None
    ) -> None:
        """steps, guidance: by default what the model was trained for."""
        add = self.graph.add
        steps, self.guidance = steps or self.trained.steps, guidance or self.trained.text_guidance
        with self.graph.column(GROUPS[1]):
            self._prepare()
            self.noise = add("RandomNoise", "Noise", noise_seed=seed)
            self.sampler = add("KSamplerSelect", "Sampler", sampler_name="euler")
            self.sigmas = self._schedule(steps)
            self.guider = self._guider("Guidance", self.model)

    def find(self, threshold: float | Output = THRESHOLD, **choices: Any) -> Output:
        """The region's mask."""
        add = self.graph.add
        with self.graph.column(GROUPS[2]):
            self.probe = add(
                "LIMEProbe",
                "LIME Probe",
                guider=self.guider["GUIDER"],
                noise=self.noise["NOISE"],
                sampler=self.sampler["SAMPLER"],
                sigmas=self.sigmas["SIGMAS"],
                latent_image=self.latent,
                instruction=self.instruction["instruction"],
                image=self.image,  # not its scaled copy: the mask takes its size and outlines
                source=self.source,
            )
            capture = self.probe["capture"]
            self.segments = add("LIMEFeatureCluster", "LIME Feature Cluster", capture=capture, shows=NARROW, **choices)
            self.region = add(
                "LIMEAttentionRoI",
                "LIME Attention RoI",
                capture=capture,
                segments=self.segments["segments"],
                tokens=self.words["tokens"],
                threshold=threshold,
                shows=NARROW * 2 // 3,  # two pictures side by side
            )
        return self.region["mask"]

    def sample(self, mask: Output, strength: float | Output = STRENGTH) -> None:
        """The edit in one pass: goes on from where the probe stopped."""
        self._localize(mask, keep=True, strength=strength)
        noise = self.graph.add("DisableNoise", "No new noise")
        self.edited = self._sample("LIME sampling", noise, self.edit_guider, self.probe["sigmas"], self.probe["latent"])

    def sample_again(self, mask: Output, keep: bool = True, **choices: Any) -> None:
        """The edit from the start: the second of two passes, or in a mask of one's own. keep: the outside as it is."""
        self._localize(mask, keep, **choices)
        start = (self.noise, self.edit_guider, self.sigmas["SIGMAS"], self.latent)
        self.edited = self._sample("LIME sampling", *start)

    def plain(self) -> Output:
        """The same edit without LIME."""
        with self.graph.column("Plain edit, to compare", below=True):
            start = (self.noise, self.guider, self.sigmas["SIGMAS"], self.latent)
            return self._sample("Plain sampling", *start)

    def finish(self, mask: Output, width: int = NARROW) -> Output:
        """The photograph itself with the edit in its place."""
        given: dict[str, Any] = {"image": self.image, "edited": self.edited, "mask": mask} | self.crop
        with self.graph.column(GROUPS[4], width):
            return self.graph.add("LIMEPasteBack", "LIME Paste Back", **given)["image"]

    def _localize(self, mask: Output, keep: bool, **choices: Any) -> None:
        add = self.graph.add
        where: dict[str, Any] = {"mask": mask, "tokens": self.words["tokens"], "strength": STRENGTH} | choices
        with self.graph.column(GROUPS[3]):
            title = "LIME Attention Regularize Model"
            model = add("LIMEAttnRegularizeModel", title, model=self.model, **where)["model"]
            if keep:
                model = add("LIMEKeepOutside", "LIME Keep Outside", model=model, mask=mask, latent=self.source)["model"]
            self.edit_guider = self._guider("Guidance with region", model)

    def _scale(self) -> None:
        size = self.more.get("megapixels", self.trained.megapixels)
        sized = self.graph.add("LIMECropAround", "To the model's size", image=self.image, megapixels=size)
        self.small, self.crop = sized["cropped"], {"crop": sized["crop"]}

    def _find_words(self, focus: str | Output) -> None:
        given: dict[str, Any] = {"instruction": self.instruction["instruction"], "focus": focus}
        self.words = self.graph.add("LIMEWords", "LIME Words", shows=90, **given)

    def _encode_picture(self) -> None:
        self.latent = self.graph.add("VAEEncode", "Encode picture", pixels=self.small, vae=self.vae)["LATENT"]

    def _prepare(self) -> None:
        """Nodes that schedule and guiders are behind: here none."""

    def _schedule(self, steps: int | Output, **choices: Any) -> Node:
        scheduler = self.trained.scheduler
        return self.graph.add(
            "BasicScheduler", "Schedule", model=self.model, scheduler=scheduler, steps=steps, **choices
        )

    def _guider(self, title: str, model: Output) -> Node:
        branches: dict[str, Any] = {"positive": self.positive, "negative": self.negative}
        return self.graph.add("CFGGuider", title, model=model, **branches, cfg=self.guidance)

    def _sample(self, title: str, noise: Node, guider: Node, sigmas: Output, latent: Output) -> Output:
        """The sampled picture."""
        sampled = self.graph.add(
            "SamplerCustomAdvanced",
            title,
            noise=noise["NOISE"],
            guider=guider["GUIDER"],
            sampler=self.sampler["SAMPLER"],
            sigmas=sigmas,
            latent_image=latent,
        )
        return self.graph.add("VAEDecode", "Decode", samples=sampled["output"], vae=self.vae)["IMAGE"]


class InstructPix2Pix(Edit):
    """With InstructPix2Pix and its kin, whose picture is on channels of the latent."""

    def instruct(self, text: str | Output, focus: str | Output = FOCUS, **choices: Any) -> None:
        """Encodes the instruction, and the picture at the size that the model was trained on."""
        add = self.graph.add
        with self.graph.column(GROUPS[0]):
            self.instruction = add("LIMEInstruction", "LIME Instruction", clip=self.clip, text=text, **choices)
            self._find_words(focus)
            self.empty = add("CLIPTextEncode", "Empty text", clip=self.clip, text="")
            if self.trained.megapixels:
                self._scale()
            picture = add(
                "InstructPixToPixConditioning",
                "Instruction and picture",
                positive=self.instruction["conditioning"],
                negative=self.empty["CONDITIONING"],
                vae=self.vae,
                pixels=self.small,
            )
            self.latent, self.positive, self.negative = picture["latent"], picture["positive"], picture["negative"]

    def _guider(self, title: str, model: Output) -> Node:
        return dual_guider(self, title, model, self.empty)


class InstructPix2PixXL(InstructPix2Pix):
    """On SDXL's network: SDXL InstructPix2Pix, and CosXL Edit with another prediction, which the host reads."""

    TRAINED = Trained(1.0, 20, 5.0, 1.5)
    SETTINGS: ClassVar[dict[str, float]] = {"megapixels": 1.0}


def dual_guider(edit: Edit, title: str, model: Output, empty: Node) -> Node:
    """With guidance by text and by picture. empty: the branch that has neither."""
    return edit.graph.add(
        "DualCFGGuider",
        title,
        model=model,
        cond1=edit.positive,
        cond2=edit.negative,
        negative=empty["CONDITIONING"],
        cfg_conds=edit.guidance,
        cfg_cond2_negative=edit.trained.image_guidance,
    )


def edit_instruct_pix2pix(node_info: dict) -> Graph:
    """Five wires in, the edited photograph and its mask out."""
    graph = edit_blueprint("LIME Edit (InstructPix2Pix)", node_info, InstructPix2Pix)
    graph.aliases = aliases("instruct pix2pix", "ip2p")
    graph.description = "An instruction changes only the region that it is about. InstructPix2Pix and its kin."
    return graph


def edit_miniature(node_info: dict) -> Graph:
    """The same for the demo model, whose pictures are too small to be scaled. No blueprint: a template holds it."""
    graph = edit_blueprint("LIME Edit (demo model)", node_info, InstructPix2Pix, MINIATURE)
    graph.aliases = aliases("instruct pix2pix", "ip2p")
    graph.description = "LIME Edit (InstructPix2Pix) without its scaling, for pictures of 64 x 64."
    return graph


def aliases(*family: str) -> list[str]:
    """What a blueprint is searched by."""
    return ["localized edit", *family, "keep the rest", "image edit", "inpaint by text"]


def edit_blueprint(name: str, node_info: dict, family: type[Edit], trained: Trained | None = None) -> Graph:
    graph, edit, face = _face(name, node_info, family, trained)
    threshold, strength = graph.face("threshold", "FLOAT", THRESHOLD), graph.face("strength", "FLOAT", STRENGTH)
    edit.instruct(face["text"], face["focus"])
    edit.schedule(face["seed"], face["steps"], face["guidance"])
    mask = edit.find(threshold)
    edit.sample(mask, strength)
    graph.results = {"image": edit.finish(mask), "mask": mask}
    return graph


def find_region(node_info: dict) -> Graph:
    """A mask from a text, for any other node."""
    graph, edit, face = _face("LIME Find Region", node_info, InstructPix2Pix)
    graph.description = "A mask from an edit instruction, for any node that takes one."
    graph.aliases = ["mask from text", "segment by text", "find region", "ip2p"]
    threshold = graph.face("threshold", "FLOAT", THRESHOLD)
    edit.instruct(face["text"], face["focus"])
    edit.schedule(face["seed"], face["steps"], face["guidance"])
    mask = edit.find(threshold)
    graph.results = {"mask": mask, "heatmap": edit.region["heatmap"]}
    return graph


def _face(
    name: str, node_info: dict, family: type[Edit], trained: Trained | None = None
) -> tuple[Graph, Edit, dict[str, Output]]:
    graph = Graph(name, node_info, before=100 if name.startswith("LIME Edit") else 200)
    wires = [graph.face(name, name.upper()) for name in ("image", "model", "clip", "vae")]
    edit = family(graph, wires, trained)
    edit.more |= {name: graph.face(name, "IMAGE") for name in edit.PICTURES}
    face = {
        "text": graph.face("text", "STRING", ""),
        "seed": graph.face("seed", "INT", 0),
        "steps": graph.face("steps", "INT", edit.trained.steps),
        "guidance": graph.face("guidance", "FLOAT", edit.trained.text_guidance),
        "focus": graph.face("focus", "STRING", FOCUS),
    }
    edit.more |= {name: graph.face(name, "FLOAT", value) for name, value in edit.SETTINGS.items()}
    return graph, edit, face
