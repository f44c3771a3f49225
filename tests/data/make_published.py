"""Runs the published code beside the pack on small random models, prints how far they are apart, freezes the outcome.

    git clone https://github.com/enisimsar/LIME ~/LIME
    uv run --with diffusers==0.35.2 --with nltk python tests/data/make_published.py ~/LIME

Needs neither CUDA nor NLTK's data. What stands in: for RAPIDS' K-means scikit-learn's, for NLTK's tagger the tags of
each case, for NLTK's stop words the pack's copy of them; for weights and embeddings random ones. 512 px take about
six gigabytes, and a few minutes.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "host")]

RAPIDS = ("cuml", "cuml.cluster", "cudf", "cupy")


class Clusters:
    """RAPIDS' KMeans as far as the published code uses it. Keeps the pixels that it starts from."""

    starts: np.ndarray

    def __init__(self, n_clusters: int, n_init: int) -> None:
        self.clusters = n_clusters

    def fit(self, vectors: np.ndarray) -> None:
        from sklearn.cluster import KMeans, kmeans_plusplus

        centres, Clusters.starts = kmeans_plusplus(vectors, self.clusters, random_state=0)
        labels = KMeans(self.clusters, init=centres, n_init=1).fit(vectors).labels_
        on_the_gpu = SimpleNamespace(get=lambda: labels.astype(np.uint8))
        self.labels_ = SimpleNamespace(values=SimpleNamespace(astype=lambda kind: on_the_gpu))


def load_published(folder: Path) -> tuple[ModuleType, ModuleType]:
    """pipeline.py and utils.py of the published code."""
    import nltk

    from lime_ops.instruction.stop_words import STOP_WORDS

    sys.modules |= {name: ModuleType(name) for name in RAPIDS}
    sys.modules["cuml"].KMeans = sys.modules["cuml.cluster"].KMeans = Clusters
    sys.modules["cudf"].DataFrame = np.asarray
    sys.modules["cupy"].cuda = SimpleNamespace(Device=lambda number: SimpleNamespace(use=lambda: None))
    nltk.download = lambda name: True
    modules = []
    for name in ("pipeline", "utils"):
        spec = importlib.util.spec_from_file_location(f"published_{name}", folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        modules.append(module)
    for name in RAPIDS:
        del sys.modules[name]  # or scikit-learn takes them for the real ones
    modules[1].stopwords = SimpleNamespace(words=lambda language: sorted(STOP_WORDS))
    return tuple(modules)


def diffusers_pipeline(pipeline, this):
    """The published pipeline around the edit's own weights."""
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
    ours = this.model.model.diffusion_model.state_dict()
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


def run_published(pipeline, utils, host, case) -> dict[str, np.ndarray]:
    """The whole chain as the published notebook calls it."""
    from published_case import EDIT_SCALES, PROBE_SCALES, TOP_K, clip_of, make_edit

    this, tokenizer = make_edit(host, case), clip_of(host).tokenizer.clip_l.tokenizer
    utils.nltk.pos_tag = lambda pieces: list(zip(pieces, case.tags, strict=True))
    pipe = diffusers_pipeline(pipeline, this)
    pipe.scheduler.set_timesteps(case.steps)
    torch.testing.assert_close(pipe.scheduler.sigmas, this.sigmas, rtol=1e-5, atol=0)
    noise = this.noise.generate_noise(this.latent) * this.sigmas[0] / pipe.scheduler.init_noise_sigma

    def edit(scales, steps, **options):
        return pipe(
            prompt_embeds=this.text, negative_prompt_embeds=this.empty, image=this.concat, latents=noise,
            num_inference_steps=case.steps, guidance_scale=scales[0], image_guidance_scale=scales[1],
            output_type="latent", apply_mask_range=[0, steps - 1], **options,
        )[0]  # fmt: skip

    got = {"plain": edit(PROBE_SCALES, case.recorded)}
    store = pipe.attention_store.attention_store
    sizes = [feature.shape[1] for feature in store["up_feats"]]
    if sizes[0] > sizes[1]:  # the finest layer is recorded: its last feature arrives a step late, heading the next list
        edit(PROBE_SCALES, case.recorded + 1)
        late = pipe.attention_store.attention_store["up_feats"][0]
        pipe.attention_store.attention_store = store | {"up_feats": [*store["up_feats"][1:], late]}
    maps = [m for part in ("down", "up", "mid") for m in store[f"{part}_cross"]]
    features = [f for part in ("down", "up", "mid") for f in pipe.attention_store.attention_store[f"{part}_feats"]]
    for kind, layers in (("attention", [m.mean(0) for m in maps]), ("features", [f[0] for f in features])):
        for i, layer in enumerate(layers):
            side = int(layer.shape[0] ** 0.5)
            got[f"{kind}_{i}"] = layer.reshape(side, side, -1)
    got["averaged"], points = utils.locate_points(case.text, pipe.attention_store, tokenizer, top_k=TOP_K)
    got["labels"] = utils.get_segmentation_map(pipe.attention_store, 128)
    got["starts"] = Clusters.starts
    got["roi"] = utils.extract_binary_mask(got["labels"], points)
    calls = []
    handle = pipe.unet.register_forward_hook(lambda module, inputs, output: calls.append(output[0]))
    effective = utils.get_effective_tokens(case.text, tokenizer)
    got["regularized"] = edit(EDIT_SCALES, case.regularized, mask=got["roi"], effective_tokens=effective)
    handle.remove()
    got["regularized_call"] = calls[0]
    utils.plt.close("all")
    return {name: np.asarray(value) for name, value in got.items()}


def apart(published: dict, ours: dict) -> dict[str, float]:
    """How far apart: of labels and regions the share of pixels, else the largest difference of each kind.

    Of latents and inner products relative to their largest value.
    """
    from published_case import in_picture, with_grams

    sizes = [value.shape[:2] for name, value in ours.items() if name.startswith("attention_")]
    published = with_grams(published, sizes)
    published["roi"] = in_picture(published["roi"], len(ours["roi"]))
    variance, wanted = ours.pop("variances")
    assert {*published} == {*ours, "starts"}, {*published} ^ {*ours}
    worst = {"variance": float(abs(variance / wanted - 1))}
    for name, value in ours.items():
        kind = name.split("_")[0] if name.startswith(("attention_", "gram_")) else name
        difference = np.abs(value.astype(np.float64) - published[name].astype(np.float64))
        figure = (difference > 0).mean() if kind in ("labels", "roi") else difference.max()
        if kind in ("gram", "plain", "regularized"):
            figure /= np.abs(published[name]).max()
        worst[kind] = max(worst.get(kind, 0.0), float(figure))
    return worst


def main() -> None:
    from published_case import CASES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code", type=Path, help="folder with the published pipeline.py and utils.py")
    parser.add_argument("--pixels", type=int, nargs="+", default=[*CASES], help="default: %(default)s")
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from conftest import load_host

    from published_case import run_pack, thin

    host = load_host()
    import folder_paths

    folder_paths.set_temp_directory(tempfile.mkdtemp())  # where previews go
    pipeline, utils = load_published(options.code)
    for pixels in options.pixels:
        with torch.inference_mode():
            published = run_published(pipeline, utils, host, CASES[pixels])
            ours = run_pack(host, CASES[pixels], published["starts"], published["labels"])
        print(pixels, "px", json.dumps({k: f"{v:.1e}" for k, v in apart(published, ours).items()}), flush=True)
        kept = {name: thin(name, value) for name, value in published.items()}
        np.savez_compressed(HERE / f"published_{pixels}.npz", **kept)


if __name__ == "__main__":
    main()
