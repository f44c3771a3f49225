"""LIME for ComfyUI: localized image editing from the diffusion model's own features and attention."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():  # noqa: ANN201 - ComfyExtension; nothing is imported before ComfyUI asks
    from .nodes import LIMEExtension

    return LIMEExtension()
