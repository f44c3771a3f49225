"""Small text encoders with random weights, built from the host's own classes and with its own tokenizers.

Vocabularies that come with a checkpoint rather than with the host (Gemma's, Mistral's) are trained here, of their kind.
"""

import base64
import importlib
import io
import json
from types import SimpleNamespace

import torch

SENTENCES = [
    "make the house red now and the coat blue",
    "make the table red now and the coat blue",
    "replace the wooden chair with a crocheted one, keep the wall",
    "(a:1.5) turn the sky into a starry night; add a dog.",
]
CLIP = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "num_layers": 2}
SMALL = {"clip_l": CLIP, "clip_g": CLIP, "t5xxl": T5}

# By name: modules of comfy with the model and the tokenizer, the tokenizer's class, and the model's class or its maker.
KINDS = {
    "CLIP-L": ("sd1_clip", "SD1Tokenizer", "SD1ClipModel"),
    "SDXL": ("sdxl_clip", "SDXLTokenizer", "SDXLClipModel"),
    "Flux": ("text_encoders.flux", "FluxTokenizer", "flux_clip()"),
    "Chroma": ("text_encoders.pixart_t5", "PixArtTokenizer", "pixart_te()"),
    "Qwen-Image": ("text_encoders.qwen_image", "QwenImageTokenizer", "te()"),
    "Z-Image": ("text_encoders.z_image", "ZImageTokenizer", "te()"),
    "OmniGen2": ("text_encoders.omnigen2", "Omnigen2Tokenizer", "te()"),
    "HunyuanVideo": ("text_encoders.hunyuan_video", "HunyuanVideoTokenizer", "hunyuan_video_clip()"),
    "HiDream": ("text_encoders.hidream", "HiDreamTokenizer", "hidream_clip()"),
    "Lumina2": ("text_encoders.lumina2", "LuminaTokenizer", "te()"),
    "Flux.2": ("text_encoders.flux", "Flux2Tokenizer", "flux2_te()"),
    "Flux.2 Klein": ("text_encoders.flux", "KleinTokenizer", "klein_te()"),
    "LongCat": ("text_encoders.longcat_image", "LongCatImageTokenizer", "te()"),
    "Mage-Flow": ("text_encoders.mage_flow", "MageFlowTokenizer", "te()"),
}
LAYERS = {"Flux.2": 31, "Flux.2 Klein": 28}  # of which those models read the 30th, the 27th
EMBEDDING_KEYS = ("qwen25_7b", "qwen25_3b", "qwen3_4b", "qwen3vl_4b", "llama", "gemma2_2b", "mistral3_24b")
CAUSAL = {name for name in KINDS if name not in ("Flux", "Chroma", "HiDream")}  # T5 is not


def random_clip(name: str, monkeypatch, embeddings: str | None = None):
    """The host's CLIP of that kind; None where the host does not have it or its vocabulary."""
    import comfy.sd
    import comfy.text_encoders.qwen_vl as qwen_vl

    module, tokenizer, model = KINDS[name]
    try:
        module = importlib.import_module(f"comfy.{module}")
    except ModuleNotFoundError:
        return None
    if not hasattr(module, model.removesuffix("()")):
        return None
    made = getattr(module, model.removesuffix("()"))
    monkeypatch.setattr(qwen_vl, "Qwen2VLVisionTransformer", _small_vision(qwen_vl.Qwen2VLVisionTransformer))
    if name == "Mage-Flow":
        qwen3vl = importlib.import_module("comfy.text_encoders.qwen3vl")
        small = {"hidden_size": 32, "intermediate_size": 64, "depth": 1, "deepstack_visual_indexes": [0]}
        monkeypatch.setitem(qwen3vl.QWEN3VL_VISION, "qwen3vl_4b", small)
        monkeypatch.setitem(qwen3vl.QWEN3VL_VISION_COMMON, "num_heads", 2)
    language = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 1, "num_key_value_heads": 1}
    language["num_hidden_layers"] = LAYERS.get(name, 4)
    configs = SMALL | dict.fromkeys(EMBEDDING_KEYS, language)
    options = {f"{key}_model_config": dict(config) for key, config in configs.items()}
    target = SimpleNamespace(
        params={}, clip=made() if model.endswith("()") else made, tokenizer=getattr(module, tokenizer)
    )
    vocabulary = {"spiece_model": _sentencepiece(), "tekken_model": _tekken()} if name in ("Lumina2", "Flux.2") else {}
    try:
        clip = comfy.sd.CLIP(target, embedding_directory=embeddings, tokenizer_data=vocabulary, model_options=options)
    except FileNotFoundError:
        return None
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in clip.cond_stage_model.parameters():
            scale = 0.3 * weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale + (weight.ndim == 1))
    return clip


def _small_vision(transformer: type):
    small = {"hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "num_layers": 1}
    return lambda **given: transformer(**given | small)


def _sentencepiece() -> torch.Tensor:
    """A vocabulary of Gemma's kind: byte-pair pieces, bytes for what is not in it."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20), model_writer=model, vocab_size=400,
        model_type="bpe", byte_fallback=True,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, normalization_rule_name="identity", minloglevel=2,
    )  # fmt: skip
    return torch.ByteTensor(list(model.getvalue()))


def _tekken() -> bytes:
    """A vocabulary of Mistral's kind: byte-level pieces in the order that they were merged."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {char: byte for byte, char in bytes_to_unicode().items()}
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SENTENCES, vocab_size=600, min_frequency=1, show_progress=False)
    merged = sorted(trained.get_vocab().items(), key=lambda item: item[1])[256:]
    pieces = [bytes([n]) for n in range(256)] + [bytes(byte_of[char] for char in piece) for piece, _ in merged]
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", *(f"<special_{n}>" for n in range(5, 20))]
    special[11], special[17], special[18] = "<pad>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"
    ranked = [{"rank": n, "token_bytes": base64.b64encode(piece).decode()} for n, piece in enumerate(pieces)]
    config = {"default_vocab_size": len(special) + len(pieces), "default_num_special_tokens": len(special)}
    specials = [{"rank": n, "token_str": token} for n, token in enumerate(special)]
    return json.dumps({"config": config, "vocab": ranked, "special_tokens": specials}).encode()
