"""Words as columns of the text, for every kind of text encoder: small random ones of the host's own classes."""

import unicodedata

import pytest
import torch
from random_encoder import CAUSAL, KINDS, random_clip
from test_instruction import TEXTS

from demo.host import pack_module

WEIGHTED = {"CLIP-L", "SDXL", "Flux", "Chroma", "HiDream", "HunyuanVideo", "Lumina2", "OmniGen2"}
STARTED = {"CLIP-L", "SDXL", "Lumina2", "Flux.2"}  # encoders with a start token


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def clip(host, kind):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clip = random_clip(kind, monkeypatch)
    if clip is None:
        pytest.skip(f"this ComfyUI has no text encoder of {kind}")
    return clip


def chosen(host, clip, text, focus="", given=None):
    conditioning, instruction = host.lime.LIMEInstruction.execute(clip, text, conditioning=given).result
    assert given is None or conditioning is given
    assert instruction.embedding is conditioning[0][0]
    return host.lime.LIMEWords.execute(instruction, focus, "")[0]


def changed(a, b):
    """(columns whose embedding differs by more than rounding, the one where it does most)."""
    difference = (a - b).abs().amax(dim=(0, 2)) / a.abs().max()
    return (difference > 1e-5).nonzero()[:, 0].tolist(), difference.argmax().item()


@pytest.mark.parametrize(("word", "other"), [("house", "table"), ("red", "blue")])
def test_the_column_of_a_word_is_that_which_changes_with_it(host, clip, kind, word, other):
    text = "make the house red now"
    (column,) = chosen(host, clip, text, word).locating
    texts = (text, text.replace(word, other))
    columns, most = changed(*(clip.encode_from_tokens_scheduled(clip.tokenize(t))[0][0] for t in texts))
    assert column == (columns[0] if kind in CAUSAL else most)


def test_weights_are_read_where_the_encoder_reads_them(host, clip, kind):
    text = "make the house (red:1.3)"
    tokens = chosen(host, clip, text, "red")
    assert tokens.instruction.text == ("make the house red" if kind in WEIGHTED else text)
    assert tokens.words == ("red",)
    assert [letters(spelled(clip, text, column, tokens)) for column in tokens.locating] == ["red"]


def spelled(clip, text, column, tokens):
    """The token at a column of the text, as its tokenizer decodes it."""
    axis = pack_module("nodes.hooks.text_axis")
    place = dict(zip(tokens.instruction.columns, axis.text_tokens(clip, text).indices, strict=True))[column]
    return decoded(clip, text, [place])


def decoded(clip, text, places):
    tokenizer, chunks = pack_module("nodes.hooks.text_axis")._tokenize(clip, text)
    ids = [entry.token for chunk in chunks for entry in chunk]
    reader = tokenizer.tokenizer
    reader = reader if hasattr(reader, "decode") else reader.tokenizer  # sentencepiece, behind the host's class
    return reader.decode([ids[i] for i in places])


def test_start_token_and_other_words_may_not_act(host, clip, kind):
    text = "make the house red"
    tokens = chosen(host, clip, text)
    begins = tokens.instruction.begins
    silenced = [column for column in tokens.unrelated.nonzero()[:, 0].tolist() if column not in begins]
    assert tokens.words == ("house", "red")
    assert letters("".join(spelled(clip, text, column, tokens) for column in silenced)) == "makethe"
    assert begins == ((0,) if kind in STARTED else ())
    assert tokens.unrelated[list(begins)].all()


def letters(text):
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if c.isalnum())


@pytest.mark.parametrize("script", TEXTS)
def test_every_word_has_the_tokens_that_spell_it(host, clip, kind, script):
    text = TEXTS[script].replace("(", r"\(").replace(")", r"\)")
    if (kind, script) == ("LongCat", "ascii"):  # of two words with apostrophes the host's tokenizer makes one
        with pytest.raises(ValueError, match="of which the text encoder makes something else"):
            chosen(host, clip, text)
        return
    tokens = pack_module("nodes.hooks.text_axis").text_tokens(clip, text)
    for word in pack_module("lime_ops.instruction").split_words(tokens.text):
        if word.start > max(tokens.starts):
            continue  # HiDream's and LongCat's encoders cut long texts
        own = [i for i, start in zip(tokens.indices, tokens.starts, strict=True) if word.start <= start < word.end]
        found = decoded(clip, text, own)
        if "<unk>" not in found:
            assert letters(found) == letters(word.text)


def test_the_text_axis_of_flux_is_that_of_t5(host):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clip = random_clip("Flux", monkeypatch)
    tokens = chosen(host, clip, "make her outfit black")
    assert tokens.locating == (2, 3)  # CLIP's columns would be 3 and 4
    assert tokens.instruction.ends == (4,)
    assert len(tokens.unrelated) == 256


def test_the_tokenizer_is_called_as_often_for_a_long_text_as_for_a_short_one(host, clip, monkeypatch):
    calls = []
    tokenize = clip.tokenize
    monkeypatch.setattr(clip, "tokenize", lambda *args, **options: calls.append(args) or tokenize(*args, **options))
    for times in (1, 20):
        chosen(host, clip, "make the house red, please " * times)
    assert len(calls) == 6


def test_embeddings_that_no_clip_reads_are_text(host):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clip = random_clip("Qwen-Image", monkeypatch)
    assert chosen(host, clip, "make the hat embedding:one").words == ("hat", "embedding:one")


# --- a conditioning that another node made ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def qwen(host):
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield random_clip("Qwen-Image", monkeypatch)


def encoded(qwen, text, pictures):
    """From the host's own nodes: of no picture, of one, and of one to three of the newer models."""
    import comfy_extras.nodes_qwen as nodes_qwen

    images = [torch.rand(1, 32, 48, 3, generator=torch.Generator().manual_seed(n)) for n in range(abs(pictures))]
    if pictures > 0:
        given = {f"image{n + 1}": image for n, image in enumerate(images)}
        return nodes_qwen.TextEncodeQwenImageEditPlus.execute(qwen, text, **given)[0]
    return nodes_qwen.TextEncodeQwenImageEdit.execute(qwen, text, image=images[0] if images else None)[0]


@pytest.mark.parametrize("pictures", [-1, 0, 1, 2, 3])
def test_words_are_found_in_what_another_node_encoded_with_pictures(host, qwen, pictures):
    text = "make the house red now"
    given, other = (encoded(qwen, t, pictures) for t in (text, text.replace("red", "blue")))
    columns, _ = changed(given[0][0], other[0][0])
    assert chosen(host, qwen, text, "red", given).locating == (columns[0],)


@pytest.mark.parametrize("kind", ["LongCat", "Mage-Flow"], indirect=True)
def test_words_are_found_in_what_the_nodes_of_other_models_encoded_with_a_picture(host, clip, kind):
    picture, text = torch.rand(1, 32, 48, 3, generator=torch.Generator().manual_seed(0)), "make the house red now"
    if kind == "LongCat":
        from comfy_extras.nodes_qwen import TextEncodeQwenImageEdit

        given, other = (TextEncodeQwenImageEdit.execute(clip, t, image=picture)[0] for t in (text, swapped(text)))
    else:
        from comfy_extras.nodes_mage import TextEncodeMageFlowEdit

        pictures = {"image_1": picture}
        given, other = (TextEncodeMageFlowEdit.execute(clip, t, images=pictures)[0] for t in (text, swapped(text)))
    columns, _ = changed(given[0][0], other[0][0])
    assert chosen(host, clip, text, "red", given).locating == (columns[0],)


def swapped(text):
    return text.replace("red", "blue")


def test_a_text_that_begins_with_a_line_break_is_read(host, qwen):
    given, other = (encoded(qwen, t, 0) for t in ("\nmake the house red now", "\nmake the house blue now"))
    columns, _ = changed(given[0][0], other[0][0])
    assert chosen(host, qwen, "\nmake the house red now", "red").locating == (columns[0],)


def test_the_text_is_not_encoded_again(host, qwen, monkeypatch):
    given = encoded(qwen, "make the house red", 1)
    monkeypatch.setattr(qwen, "encode_from_tokens_scheduled", lambda *_: pytest.fail("encoded"))
    chosen(host, qwen, "make the house red", given=given)


def test_a_system_prompt_before_the_text_moves_its_words(host):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clip = random_clip("Lumina2", monkeypatch)
    import comfy_extras.nodes_lumina2 as nodes_lumina2

    text = "make the house red now"
    given, other = (
        nodes_lumina2.CLIPTextEncodeLumina2.execute(user_prompt=t, system_prompt="superior", clip=clip)[0]
        for t in (text, text.replace("red", "blue"))
    )
    columns, _ = changed(given[0][0], other[0][0])
    assert chosen(host, clip, text, "red", given).locating == (columns[0],)


def test_a_conditioning_too_short_for_the_text_is_refused(host, qwen):
    given = encoded(qwen, "red", 0)
    with pytest.raises(ValueError, match=r"conditioning has \d+ tokens, but this text has at least \d+ with this clip"):
        chosen(host, qwen, "make the house red and the coat blue", given=given)


@pytest.mark.parametrize("kind", ["CLIP-L", "Flux"], indirect=True)
def test_a_conditioning_of_another_length_is_refused_where_nothing_stands_before_the_text(host, clip):
    longer = [[torch.zeros(1, 308, 16), {}]]
    with pytest.raises(ValueError, match=r"conditioning has 308 tokens, but this text has (77|256) with this clip"):
        chosen(host, clip, "make the house red", given=longer)


def test_a_conditioning_of_several_parts_is_refused(host, qwen):
    part = encoded(qwen, "make the house red", 0)
    with pytest.raises(ValueError, match="conditioning has 2 parts"):
        chosen(host, qwen, "make the house red", given=[*part, *part])


def test_an_encoder_whose_columns_are_not_explained_is_refused(host, clip, kind, monkeypatch):
    encode = clip.encode_from_tokens_scheduled

    def joined(tokens):  # as SD3's, which puts CLIP's tokens before T5's
        return [[torch.cat([cond, cond], 1), extra] for cond, extra in encode(tokens)]

    monkeypatch.setattr(clip, "encode_from_tokens_scheduled", joined)
    with pytest.raises(ValueError, match=r"this clip makes \d+ tokens of the text where its tokenizer gives"):
        chosen(host, clip, "make the house red and the coat blue, " + "please " * 40)
