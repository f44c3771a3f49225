"""What a newer host says of nodes that the oldest supported one lacks, so that their templates can be written there."""

TEXT = ["STRING", {"multiline": True}]
NEWER = {
    "TextEncodeMageFlowEdit": {
        "display_name": "TextEncodeMageFlowEdit",
        "input": {
            "required": {
                "clip": ["CLIP", {}],
                "prompt": TEXT,
                "negative_prompt": TEXT,
                "images.image_1": ["IMAGE", {}],  # the first of a list that grows
                "width": ["INT", {"default": 0}],
                "height": ["INT", {"default": 0}],
                "batch_size": ["INT", {"default": 1}],
            },
            "optional": {"vae": ["VAE", {}]},
        },
        "output": ["CONDITIONING", "CONDITIONING", "LATENT"],
        "output_name": ["positive", "negative", "latent"],
    }
}
