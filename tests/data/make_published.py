"""Runs the published code beside the pack on small random models, prints how far they are apart, freezes the outcome.

    git clone https://github.com/enisimsar/LIME ~/LIME
    uv run --with diffusers==0.35.2 --with opencv-python-headless --with nltk python tests/data/make_published.py ~/LIME

Needs neither CUDA nor NLTK's data: RAPIDS' K-means is stood in for by scikit-learn's, the tagger by a table.
"""

import argparse
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "host")]

WORDS = ("<start>", "make", "the", "hat", "red", "<end>")
SIDES, FROZEN = (24, 32, 40), (24, 32)  # latent pixels: 192, 256 and 320 px


def load_published(folder: Path) -> tuple[types.ModuleType, types.ModuleType]:
    """pipeline.py and utils.py of the published code."""
    from sklearn.cluster import KMeans

    class Labels(np.ndarray):
        @property
        def values(self):
            return self

        def astype(self, kind):
            return types.SimpleNamespace(get=lambda: np.asarray(self, kind))

    class Clusters(KMeans):
        def fit(self, frame):
            super().fit(frame)
            self.labels_ = self.labels_.view(Labels)

    import nltk

    for name in ("cuml", "cuml.cluster", "cudf", "cupy"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["cuml"].KMeans = sys.modules["cuml.cluster"].KMeans = lambda n_clusters, n_init: Clusters(
        n_clusters, n_init=n_init, random_state=0
    )
    sys.modules["cudf"].DataFrame = np.asarray
    sys.modules["cupy"].cuda = types.SimpleNamespace(Device=lambda i: types.SimpleNamespace(use=lambda: None))
    nltk.download = lambda name: True
    nltk.pos_tag = lambda words: [(w, "VB" if w == "make" else "NN") for w in words]
    modules = []
    for name in ("pipeline", "utils"):
        spec = importlib.util.spec_from_file_location(f"published_{name}", folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        modules.append(module)
    for name in ("cuml", "cuml.cluster", "cudf", "cupy"):
        del sys.modules[name]  # or scikit-learn takes them for the real ones
    modules[1].stopwords = types.SimpleNamespace(words=lambda language: ["the"])
    return tuple(modules)


class Tokenizer:
    """The instruction as the published code's two functions read it: ids are positions."""

    def __call__(self, prompt):
        return {"input_ids": list(range(len(WORDS)))}

    def decode(self, token):
        return WORDS[token]


def diffusers_pipeline(pipeline, case):
    """The published pipeline around the case's own weights."""
    from comfy.utils import unet_to_diffusers
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel

    from published_case import CHANNELS, CONTEXT, HEADS

    levels = 3
    unet = UNet2DConditionModel(
        in_channels=8,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        block_out_channels=tuple(CHANNELS * (i + 1) for i in range(levels)),
        layers_per_block=1,
        cross_attention_dim=CONTEXT,
        attention_head_dim=HEADS,
    )
    config = {
        "num_res_blocks": [1] * levels,
        "channel_mult": (1, 2, 3),
        "transformer_depth": [1] * levels,
        "transformer_depth_output": [1] * (2 * levels),
        "transformer_depth_middle": 1,
    }
    ours = case.model.model.diffusion_model.state_dict()
    theirs = unet.state_dict()
    names = {key: ours[name] for key, name in unet_to_diffusers(config).items() if key in theirs}
    assert set(names) == set(theirs), sorted(set(theirs) ^ set(names))[:5]
    unet.load_state_dict(names)
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    )
    vae = AutoencoderKL(block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
                        up_block_types=("UpDecoderBlock2D",) * 4)  # fmt: skip
    pipe = pipeline.StableDiffusionInstructPix2PixPipeline(vae, None, None, unet, scheduler, None, None, None, False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run_published(pipeline, utils, case) -> dict[str, np.ndarray]:
    from published_case import EDIT_SCALES, LAST_RECORDED, LAST_REGULARIZED, PROBE_SCALES, STEPS, TOP_K

    pipe = diffusers_pipeline(pipeline, case)
    pipe.scheduler.set_timesteps(STEPS)
    torch.testing.assert_close(pipe.scheduler.sigmas, case.sigmas, rtol=1e-5, atol=0)
    noise = case.noise.generate_noise(case.latent) * case.sigmas[0] / pipe.scheduler.init_noise_sigma

    def edit(scales, **options):
        return pipe(
            prompt_embeds=case.text, negative_prompt_embeds=case.empty, image=case.concat, latents=noise,
            num_inference_steps=STEPS, guidance_scale=scales[0], image_guidance_scale=scales[1], output_type="latent",
            **options,
        )[0]  # fmt: skip

    got = {"plain": edit(PROBE_SCALES)}
    edit(PROBE_SCALES, apply_mask_range=[0, LAST_RECORDED + 1])
    late = pipe.attention_store.attention_store["up_feats"]
    edit(PROBE_SCALES, apply_mask_range=[0, LAST_RECORDED])
    store = pipe.attention_store.attention_store
    # Where the finest layer is recorded, its last feature arrives a step late: at the head of the next step's list.
    if len(store["up_feats"]) > 1 and store["up_feats"][0].shape[1] > store["up_feats"][1].shape[1]:
        store["up_feats"] = [*store["up_feats"][1:], late[0]]
    maps = [m for part in ("down", "up", "mid") for m in store[f"{part}_cross"]]
    features = [f for part in ("down", "up", "mid") for f in store[f"{part}_feats"]]
    for kind, layers in (("attention", [m.mean(0) for m in maps]), ("features", [f[0] for f in features])):
        for i, layer in enumerate(layers):
            side = int(layer.shape[0] ** 0.5)
            got[f"{kind}_{i}"] = layer.reshape(side, side, -1)
    fused = pipe.attention_store.aggregate_attention(["down_feats", "up_feats", "mid_feats"])
    got["fused"] = utils.normalize(fused.reshape(-1, fused.shape[-1]).numpy(), axis=1, norm="l2").reshape(fused.shape)
    average, points = utils.locate_points("", pipe.attention_store, Tokenizer(), top_k=TOP_K)
    got["averaged"] = average
    got["labels"] = utils.get_segmentation_map(pipe.attention_store, 128)
    got["roi"] = utils.extract_binary_mask(got["labels"], points)
    calls = []
    handle = pipe.unet.register_forward_hook(lambda module, inputs, output: calls.append(output[0]))
    speaking = utils.get_effective_tokens("", Tokenizer())
    got["regularized"] = edit(
        EDIT_SCALES, mask=got["roi"], effective_tokens=speaking, apply_mask_range=[0, LAST_REGULARIZED]
    )
    handle.remove()
    got["regularized_call"] = calls[0]
    utils.plt.close("all")
    return {name: np.asarray(value) for name, value in got.items()}


def apart(published: dict, ours: dict) -> dict[str, float]:
    """Largest absolute difference of each kind; of final latents and inner products relative to their largest value."""
    from published_case import with_grams

    sizes = [value.shape[:2] for name, value in ours.items() if name.startswith("attention_")]
    published = with_grams(published, sizes)
    assert {*published} - {"labels"} == {*ours}, {*published} ^ {*ours}
    worst: dict[str, float] = {}
    for name, value in ours.items():
        kind = name.split("_")[0] if name.startswith(("attention_", "gram_")) else name
        difference = np.abs(value.astype(np.float64) - published[name].astype(np.float64)).max()
        if kind in ("gram", "plain", "regularized"):
            difference /= np.abs(published[name]).max()
        worst[kind] = max(worst.get(kind, 0.0), float(difference))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code", type=Path, help="folder with the published pipeline.py and utils.py")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="latent pixels; default: %(default)s")
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from conftest import load_host

    from published_case import make_case, run_pack, thin

    host = load_host()
    pipeline, utils = load_published(options.code)
    for side in options.sides:
        case = make_case(host, side)
        with torch.inference_mode():
            published = run_published(pipeline, utils, case)
            ours = run_pack(host, case, published["labels"])
        print(8 * side, "px", json.dumps({k: f"{v:.1e}" for k, v in apart(published, ours).items()}), flush=True)
        if side in FROZEN:
            kept = {name: thin(name, value) for name, value in published.items()}
            np.savez_compressed(HERE / f"published_{side}.npz", **kept)


if __name__ == "__main__":
    main()
