"""LIMEInstruction and LIMEWords: words as columns of the text, through the host's own CLIP tokenizer."""

import unicodedata

import pytest
import torch
from safetensors.torch import save_file

from demo.host import pack_module


@pytest.fixture(scope="module")
def clip(host):
    return host.lime.LIMEDemoModel.execute()[1]


@pytest.fixture
def instruct(host, clip):
    def run(text, focus="", ignore="", setting="recommended"):
        instruction = host.lime.LIMEInstruction.execute(clip, text, setting)[1]
        return host.lime.LIMEWords.execute(instruction, focus, ignore)[0]

    return run


@pytest.fixture
def with_embeddings(clip, tmp_path, monkeypatch):
    """The clip finds embedding:one (a vector) and embedding:three (three), beginning with 1.0 and 3.0, 3.1, 3.2."""
    width = clip.tokenizer.clip_l.embedding_size
    for name, first in (("one", [1.0]), ("three", [3.0, 3.1, 3.2])):
        vectors = torch.tensor(first)[:, None].repeat(1, width)
        save_file({"clip_l": vectors}, tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(clip.tokenizer.clip_l, "embedding_directory", str(tmp_path))
    return clip


def located(clip, text, tokens):
    """What stands at the locating columns: spellings, and the first number of an embedding's vectors."""
    flat = [entry[0] for chunk in clip.tokenize(text)["l"] for entry in chunk]
    spelling = clip.tokenizer.clip_l.inv_vocab
    found = [flat[column] for column in tokens.locating]
    return [round(float(t[0]), 3) if isinstance(t, torch.Tensor) else spelling[t].removesuffix("</w>") for t in found]


def pieces(clip, text, columns):
    """The word pieces at some columns, all chunks one after another."""
    flat = [token for chunk in clip.tokenize(text)["l"] for token in chunk]
    return [clip.tokenizer.clip_l.inv_vocab[flat[c][0]].replace("</w>", "|") for c in columns]


def test_words_become_their_columns(clip, instruct):
    tokens = instruct("make the red circle blue")
    assert tokens.words == ("red", "circle", "blue")
    assert tokens.locating == (3, 4, 5)
    assert pieces(clip, "make the red circle blue", tokens.locating) == ["red|", "circle|", "blue|"]


def test_a_word_of_several_pieces_gives_them_all(clip, instruct):
    tokens = instruct("make the hat crocheted")
    assert "".join(pieces(clip, "make the hat crocheted", tokens.locating)) == "hat|crocheted|"
    assert len(tokens.locating) > 2


def test_weights_do_not_move_the_columns(clip, instruct):
    plain = instruct("make the red circle blue")
    for text in (
        "make the (red:1.3) circle blue",
        "make the red ((circle)) (blue:0.5)",
        "(make the red circle blue:1.1)",
    ):
        tokens = instruct(text)
        assert (tokens.words, tokens.locating) == (plain.words, plain.locating)
        assert tokens.instruction.text == "make the red circle blue"


def test_escaped_brackets_are_text(instruct):
    assert instruct(r"make the circle \(blue\)").instruction.text == "make the circle (blue)"


def test_a_long_instruction_counts_through_its_chunks(clip, instruct):
    text = "please " * 90 + "make the red circle blue"
    tokens = instruct(text)
    assert tokens.instruction.embedding.shape[1] == tokens.unrelated.shape[0] == 154
    assert pieces(clip, text, tokens.locating) == ["red|", "circle|", "blue|"]
    assert min(tokens.locating) > 77


def test_start_token_and_other_words_may_not_act(clip, instruct):
    text = "make the red circle blue"
    silenced = instruct(text).unrelated.nonzero()[:, 0].tolist()
    assert pieces(clip, text, silenced) == ["<|startoftext|>", "make|", "the|"]


def test_no_start_token_of_a_long_instruction_may_act(instruct):
    tokens = instruct("please " * 90 + "make the red circle blue")
    assert tokens.instruction.begins == (0, 77)
    assert tokens.unrelated[[0, 77]].all() and not tokens.unrelated[-1]


def test_focus_names_the_words(instruct):
    assert instruct("make the red circle blue", focus="Circle").words == ("circle",)


def test_ignore_leaves_words_out(instruct):
    assert instruct("make the red circle blue", ignore="red, blue").words == ("circle",)


def test_function_words_only_fall_back_on_all_words(instruct):
    assert instruct("do it to them").words == ("do", "it", "to", "them")


@pytest.mark.parametrize(
    ("text", "focus", "ignore", "message"),
    [
        ("  ", "", "", "text is empty"),
        ("...", "", "", "has no words"),
        ("make it red", "zebra", "", "focus: 'zebra' is not in the instruction. Its words are: make, it, red"),
        ("make it red", "", "zebra", "ignore: 'zebra' is not in the instruction"),
        ("make it red", '"', "", "focus: '\"' has no words"),
        ("make it red", "", "red", r"ignore leaves no word of 'make it red': chosen were \['red'\]"),
    ],
)
def test_bad_input_is_named(instruct, text, focus, ignore, message):
    with pytest.raises(ValueError, match=message):
        instruct(text, focus, ignore)


def test_the_conditioning_is_that_of_clip_text_encode(host, clip):
    (wanted,) = host.nodes.CLIPTextEncode().encode(clip, "make the (red:1.2) circle blue")
    got = host.lime.LIMEInstruction.execute(clip, "make the (red:1.2) circle blue")[0]
    assert torch.equal(got[0][0], wanted[0][0])


def test_the_published_setting_chooses_pieces_by_stop_words_and_lets_verbs_act(instruct):
    text = "please make the circle red"  # start, five words, end
    tokens = instruct(text, setting="published")
    assert tokens.locating == (1, 4, 5, 6)  # "the" is a stop word, "make" gives the order
    assert tokens.words == ("please", "circle", "red")
    assert (~tokens.unrelated).nonzero()[:, 0].tolist() == [1, 2, 4, 5, 6]
    recommended = instruct(text)
    assert recommended.locating == (4, 5)
    assert recommended.unrelated.nonzero()[:, 0].tolist() == [0, 1, 2, 3]


def test_the_published_setting_may_choose_no_word_and_takes_focus_and_ignore(instruct):
    assert instruct("do it to them", setting="published").words == ()
    assert instruct("do it to them", setting="published").locating == (5,)  # the end token
    assert instruct("make the circle red", "make", setting="published").locating == (1, 5)
    assert instruct("make the circle red", "", "red", setting="published").locating == (3, 5)


def test_the_published_setting_takes_the_tags_of_another_tagger(host, clip):
    instruction = host.lime.LIMEInstruction.execute(clip, "remove it", "published")[1]
    nltk = frozenset({1, 3})  # "remove" and the end token
    tokens = pack_module("nodes.hooks.text_columns").choose_words(instruction, verbs=nltk)
    assert (tokens.words, tokens.locating) == ((), ())
    assert (~tokens.unrelated).nonzero()[:, 0].tolist() == [1, 3]


# --- embeddings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "columns"),
    [
        ("make the hat embedding:one", ("hat", "embedding:one"), ["hat", 1.0]),
        ("make the hat embedding:one blue", ("hat", "embedding:one", "blue"), ["hat", 1.0, "blue"]),
        ("make the hat embedding:one, red", ("hat", "embedding:one", "red"), ["hat", 1.0, "red"]),
        ("embedding:three the hat, red", ("embedding:three", "hat", "red"), [3.0, 3.1, 3.2, "hat", "red"]),
        ("make the (embedding:three:1.2) red", ("embedding:three", "red"), [3.0, 3.1, 3.2, "red"]),
        ("embedding:three\nembedding:one", ("embedding:three", "embedding:one"), [3.0, 3.1, 3.2, 1.0]),
        ("make the hat embedding: one", ("hat", "embedding"), ["hat", 1.0]),
        ("make the hat embedding:none blue", ("hat", "blue"), ["hat", "blue"]),
        ("add embedding:none, embedding:one, a hat", ("embedding:one", "hat"), [1.0, "hat"]),
        ("add embedding:none embedding:one embedding:none hat", ("embedding:one", "hat"), [1.0, "hat"]),
    ],
)  # fmt: skip
def test_the_vectors_of_an_embedding_are_the_columns_of_one_word(with_embeddings, instruct, text, words, columns):
    tokens = instruct(text)
    assert tokens.words == words
    assert located(with_embeddings, text, tokens) == columns


def test_focus_and_ignore_name_an_embedding_as_one_word(with_embeddings, instruct):
    text = "make the hat embedding:three red"
    assert instruct(text, focus="embedding:three").words == ("embedding:three",)
    assert instruct(text, ignore="embedding:three").words == ("hat", "red")


def test_an_embedding_locates_and_acts_at_the_published_setting(with_embeddings, instruct):
    tokens = instruct("make the embedding:three red", setting="published")
    assert tokens.locating == (3, 4, 5, 6, 7)
    assert (~tokens.unrelated).nonzero()[:, 0].tolist() == [1, 3, 4, 5, 6, 7]


def test_without_a_folder_of_embeddings_the_name_is_text(clip, instruct):
    tokens = instruct("make the hat embedding:one")
    assert tokens.words == ("hat", "embedding:one")
    assert pieces(clip, "make the hat embedding:one", tokens.locating) == ["hat|", "embed", "ding|", ":|", "one|"]


@pytest.mark.parametrize("text", ["make the hat embedding:", "make the (embedding::1.2) red", "embedding:"])
def test_an_embedding_without_a_name_is_refused(with_embeddings, instruct, text):
    with pytest.raises(ValueError, match="text has 'embedding:' without a name"):
        instruct(text)


def test_words_that_are_all_left_out_by_the_encoder_are_refused(with_embeddings, instruct):
    with pytest.raises(ValueError, match=r"the chosen words \['embedding:none'\] have no tokens"):
        instruct("add embedding:none")
    with pytest.raises(ValueError, match=r"the chosen words \['embedding:none'\] have no tokens"):
        instruct("make the hat embedding:none", focus="embedding:none")


# --- where each word stands, in any script ----------------------------------------------------------------------------

TEXTS = {
    "ascii": "make the man's t-shirt red, it's/they're 3d & 100% ok (isn't it?)",
    "accents": "füge dem Café einen Hut hinzu, señor Ångström",
    "decomposed": unicodedata.normalize("NFD", "füge dem Café einen Hut hinzu, señor Ångström é"),
    "no composed form": "make the x\u0301 hat red",
    "emoji": "🎉 make the cake 🎂🎉!! pink 👍🏽 and 👩‍🚀 1️⃣ green",
    "chinese": "把 帽子 变成 红色, make it 红 blue",
    "japanese": "帽子を 赤く する, ハット too",
    "korean": "모자를 빨간색으로 " + unicodedata.normalize("NFD", "모자를 red"),
    "cyrillic": "Сделай шляпу красной, ЁЛКУ зелёной",
    "greek": "ΟΔΟΣ άσπρος red",
    "turkish": "İstanbul ışık red",
    "german": "Straße STRASSE ẞ red",
    "arabic": "اجعل القبعة حمراء red",
    "curly quotes": "change the “red” sign to ‘Open’ and the man’s hat to “blue”",
    "signs": "add ® © ™ to the Coca®Cola can, 20°C ½ m² №5",
    "ligatures": "a ﬁne oﬃce ﬂag red",
    "zero width": "make the dress\u200b red, the hat\u200b blue\ufeff",
    "soft hyphen": "make the coat\u00ad red",
    "full width": "ＨＡＴ red ｂｌｕｅ",
    "white space": "  make\tthe\u00a0hat\r\n\n red\u3000blue ",
    "marks": "red,blue;green... [hat] {coat} a_b image_1 --- c/d #1 x2",
    "controls": "make the hat\x07 red\x00 blue",
    "long": "please " * 90 + "make the red circle “blue”",
}


def word_columns_by_counting(clip, text, words):
    """For each word the numbers of its tokens: as many as the text before it has come before the word's own."""

    def tokens_of(part):
        chunks = clip.tokenizer.clip_l.tokenize_with_weights(part, return_word_ids=True, disable_weights=True)
        return sum(entry[2] != 0 for chunk in chunks for entry in chunk)

    return [list(range(tokens_of(text[:a]), tokens_of(text[:b]))) for a, b in words]


@pytest.mark.parametrize("script", TEXTS)
def test_every_word_has_the_columns_that_counting_gives(host, clip, script):
    text = TEXTS[script]
    escaped = text.replace("(", r"\(").replace(")", r"\)")
    instruction = host.lime.LIMEInstruction.execute(clip, escaped)[1]
    assert instruction.text == text
    words = [(w.start, w.end) for w in pack_module("lime_ops.instruction").split_words(text)]
    got = [[i for i, start in enumerate(instruction.starts) if a <= start < b] for a, b in words]
    assert got == word_columns_by_counting(clip, text, words)
    assert list(instruction.starts) == sorted(instruction.starts)


def test_words_that_the_tokenizer_joins_are_refused(host, clip, monkeypatch):
    tokenizer = clip.tokenizer.clip_l.tokenizer

    def joining(text, **options):  # as one that leaves out the slash would
        if isinstance(text, str):
            return tokenizer(text.replace("/", ""), **options)
        return tokenizer([one.replace("/", "") for one in text], **options)

    monkeypatch.setattr(clip.tokenizer.clip_l, "tokenizer", joining)
    with pytest.raises(ValueError, match="text has 'sun/flower', of which the text encoder makes something else"):
        host.lime.LIMEInstruction.execute(clip, "make the sun/flower hat green")
    host.lime.LIMEInstruction.execute(clip, "make the sun / flower hat green")


def test_what_the_tokenizer_rewrites_is_never_given_to_the_wrong_word(clip, instruct, monkeypatch):
    tokenizer = clip.tokenizer.clip_l.tokenizer

    def unescaping(text, **options):  # as ftfy does, which looks at the whole text
        texts = [text] if isinstance(text, str) else text
        read = [one if "<" in one else one.replace("&amp;", "&") for one in texts]
        return tokenizer(read[0] if isinstance(text, str) else read, **options)

    monkeypatch.setattr(clip.tokenizer.clip_l, "tokenizer", unescaping)
    text = "make it < a hat&amp;scarf"
    assert located(clip, text, instruct(text, focus="scarf")) == ["scarf"]
    with pytest.raises(ValueError, match=r"text has 'hat&amp;scarf', of which .* its words cannot be told apart"):
        instruct("make it a hat&amp;scarf")


def test_an_opening_quote_that_the_tokenizer_reads_as_a_contraction_stays_with_its_word(clip, instruct):
    text = "write 'red' on the hat"
    assert located(clip, text, instruct(text, focus="red")) == ["'re", "d"]


def test_a_special_token_in_the_text_takes_no_word_along(clip, instruct):
    text = "make the hat <|endoftext|> red"
    assert located(clip, text, instruct(text, focus="red")) == ["red"]


def test_the_tokenizer_is_called_as_often_for_a_long_text_as_for_a_short_one(host, clip, monkeypatch):
    tokenizer, calls = clip.tokenizer.clip_l.tokenizer, []

    def counted(text, **options):
        calls.append(text)
        return tokenizer(text, **options)

    monkeypatch.setattr(clip.tokenizer.clip_l, "tokenizer", counted)

    def calls_for(text):
        calls.clear()
        host.lime.LIMEInstruction.execute(clip, text)
        return len(calls)

    sentence = "make the man’s Café “hat” 红色, please "
    assert calls_for(sentence) == calls_for(sentence * 20) <= 3


# --- prompt syntax ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a (red:1.3)(dress:1.2) on the woman", ["red", "dress", "woman"]),
        ("add a (hat:1.2 to the man", ["hat", "man"]),
        ("put the hat of image_1 on the man", ["hat", "image", "_", "1", "man"]),
        ("make the man 's hat red", ["man", "hat", "red"]),
        ("make the sky red BREAK make the sea green", ["sky", "red", "sea", "green"]),
        ("make the sky red <lora:fancy_sky:0.8>", ["sky", "red"]),
    ],
)
def test_prompt_syntax_is_never_chosen(clip, instruct, text, words):
    assert located(clip, text, instruct(text)) == words


def test_words_that_only_brackets_keep_apart_stay_apart(instruct):
    tokens = instruct("a (red:1.3)(dress:1.2) on the woman", focus="dress")
    assert tokens.instruction.text == "a red dress on the woman"
    assert tokens.locating == (3,)


@pytest.mark.parametrize("focus", ["(hat:1.2)", "(hat:1.2", '"hat"', "“Hat”,", "hat's", "((hat))", "‘hat’"])
def test_focus_and_ignore_are_read_without_weights_and_quotes(instruct, focus):
    assert instruct("make the hat red", focus=focus).words == ("hat",)
    assert instruct("make the hat red", ignore=focus).words == ("red",)
