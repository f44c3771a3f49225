"""Which conditioning carries which text, and whether what is sampled fits what was given."""

from collections.abc import Iterator
from typing import Any

import comfy.utils
from torch import Tensor, equal


def carries_text(conditioning: dict, embedding: Tensor) -> bool:
    """Whether this conditioning is the text that `embedding` [1, T, C] stands for."""
    text = conditioning.get("cross_attn")
    if text is None or text.shape != embedding.shape:
        return False
    return text is embedding or equal(text, embedding.to(text))


def rows_by_conditioning(batch: int, uuids: tuple) -> Iterator[tuple[Any, slice]]:
    """The rows of each conditioning in a batch that the host put together: (uuid, rows)."""
    size = batch // len(uuids)
    for i, uuid in enumerate(uuids):
        yield uuid, slice(i * size, (i + 1) * size)


def fits(picture: tuple[int, int], latent: tuple[int, int]) -> bool:
    """Whether a picture of that shape, at some size, may have given the latent: to within one latent pixel each way.

    An encoder cuts off what is less than a latent pixel.
    """
    lowest = max(length / (n + 1) for length, n in zip(picture, latent, strict=True))
    return lowest < min(length / n for length, n in zip(picture, latent, strict=True))


def fit_source(source: Tensor, like: Tensor, model: Any) -> Tensor:
    """A picture's latent as the model has it, in the shape of `like` [B, C, (1,) h, w].

    source: [B or another, C, (1,) h, w] as the autoencoder gave it, maybe of another size. model: the host's BaseModel.
    """
    if source.shape[-2:] != like.shape[-2:]:  # as the host resizes the picture that a conditioning carries
        source = comfy.utils.common_upscale(source, like.shape[-1], like.shape[-2], "bilinear", "center")
    if source.ndim < like.ndim:
        source = source.unsqueeze(2)
    source = comfy.utils.repeat_to_batch_size(source, like.shape[0])
    return model.process_latent_in(source.to(like))


def frames_of(latent: Tensor) -> int:
    """Of a latent [B, C, (T,) h, w]."""
    return latent.shape[2] if latent.ndim == 5 else 1


def check_source(source: Tensor, like: Tensor) -> None:
    """Raises ValueError unless a picture's latent has an image, and the channels and frames of what is sampled."""
    if not source.shape[0] or source.shape[1] != like.shape[1]:
        raise ValueError(
            f"the source's latent has {source.shape[0]} images of {source.shape[1]} channels but the model samples "
            f"{like.shape[1]}: encode the picture with the model's own VAE (VAE Encode)."
        )
    frames, sampled = frames_of(source), frames_of(like)
    if frames not in (1, sampled):
        raise ValueError(
            f"the source's latent has {frames} frames but {sampled} are sampled: expected as many, or a picture."
        )


def check_mask(mask: Tensor, noise: Tensor, pixels: int) -> None:
    """Raises ValueError unless the mask [B, H, W] fits the noise [B, C, h, w], of so many pixels a latent pixel."""
    images, (h, w) = noise.shape[0], noise.shape[-2:]
    batch, height, width = mask.shape
    if images == 0:
        raise ValueError("the latent has no images: expected a batch of at least 1.")
    if batch not in (1, images):
        raise ValueError(
            f"mask has {batch} images but the latent has {images}: expected one mask, or one for each image."
        )
    if not fits((height, width), (h, w)):
        raise ValueError(
            f"mask is {width}x{height} but the picture that is sampled is {w * pixels}x{h * pixels} (width x height): "
            "their shapes differ, so the mask belongs to another picture. Use a mask of this one, at any size."
        )


def check_start(noise: Tensor, noise_mask: Tensor | None) -> None:
    """Raises ValueError when a noise mask lies on a latent that has its noise already, which the host keeps outside."""
    if noise_mask is not None and not noise.any():
        raise ValueError(
            "the latent that sampling goes on from has a noise mask (SetLatentNoiseMask, inpainting): its noise would "
            "be taken for the picture. Leave it out and give that mask to LIME Keep Outside."
        )


def check_part(part: tuple[int, int], latent: tuple[int, int]) -> None:
    """Raises ValueError when the model is given another size than the latent that is sampled: a tile of it."""
    if part != latent:
        raise ValueError(
            f"the model is given {part[1]}x{part[0]} of the latent's {latent[1]}x{latent[0]} pixels (width x height): "
            "a node samples in tiles or windows, where LIME's maps and masks would lie in the wrong place. Bypass that "
            "node, or the LIME nodes but LIME Keep Outside."
        )


def check_whole(conds: dict[str, list[dict] | None]) -> None:
    """Raises ValueError when a conditioning is for a part of the picture only: the model would see a crop."""
    for name, cond in conds.items():
        if any(c.get("area") is not None or c.get("set_area_to_bounds") for c in cond or []):
            raise ValueError(
                f"the conditioning {name!r} is set to an area (ConditioningSetArea, or ConditioningSetMask with 'mask "
                "bounds'), so that the model sees a crop and LIME's maps and masks would lie in the wrong place: use "
                "ConditioningSetMask with 'default', or no area."
            )


def check_instruction(embedding: Tensor, conds: dict[str, list[dict] | None]) -> None:
    """Raises ValueError unless the instruction of this embedding is among what is sampled."""
    if not any(carries_text(c, embedding) for cond in conds.values() for c in cond or []):
        raise ValueError(
            "the instruction is another than the one that is sampled: wire the instruction (or its tokens) and the "
            "conditioning from the same LIME Instruction node."
        )
