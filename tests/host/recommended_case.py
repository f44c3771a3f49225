"""Whole edits at the recommended setting on the small random model, given by seeds; what is frozen of them."""

import torch

from editing import edit

THRESHOLD = 0.97  # of random attention, in which no segment stands out
CASES = {  # name: (height, width) of the latent, images, strength
    "square": ((16, 16), 1, 0.9),
    "wide": ((12, 20), 2, 1.0),
}


def run_recommended(host, name: str, region: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """All that is compared of one edit, from the pack's nodes in the real host. `region`: to edit in, not as found."""
    size, images, strength = CASES[name]
    this = edit(host, size=size, images=images, steps=6)
    generator = torch.Generator().manual_seed(11)
    picture = torch.rand(images, 8 * size[0], 8 * size[1], 3, generator=generator)
    probe = this.probe(steps=3, image=picture)
    capture = probe[0]
    segments = host.lime.LIMEFeatureCluster.execute(capture, 16, 0)[0]
    mask = host.lime.LIMEAttentionRoI.execute(capture, segments, this.tokens_of(), THRESHOLD, 100)[0]
    region = mask if region is None else region
    model = this.regularize(region, strength=strength, end=0.9)
    model = host.lime.LIMEKeepOutside.execute(model, region)[0]
    edited = torch.rand(images, 8 * size[0], 8 * size[1], 3, generator=generator)
    return {
        **{f"attention_{i}": layer for i, layer in enumerate(capture.attention)},
        **{f"gram_{gram.size[0]}": gram.products for gram in capture.grams},
        "labels": segments.labels,
        "mask": mask,
        "noisy": probe[1]["samples"],
        "one_pass": this.finish(probe, model),
        "two_pass": this.sample(model),
        "pasted": host.lime.LIMEPasteBack.execute(picture, edited, region, feather=9, align=False, match_colours=False)[
            0
        ],
    }


def thin(name: str, value: torch.Tensor) -> torch.Tensor:
    """What the golden files keep: 12 pixels of attention maps and Gram matrices, every fourth of the pasted picture."""
    if name.startswith("gram"):
        some = torch.linspace(0, value.shape[1] - 1, 12).long()
        return value[:, some][:, :, some]
    if name.startswith("attention"):
        flat = value.flatten(0, -2)
        return flat[torch.linspace(0, len(flat) - 1, 12).long()]
    if name == "pasted":
        return value[:, ::4, ::4]
    return value.to(torch.uint8) if name in ("labels", "mask") else value
