"""LIMEInstruction and LIMEWords: words as columns of the text, through the host's own CLIP tokenizer."""

import pytest


@pytest.fixture(scope="module")
def clip(host):
    return host.lime.LIMEDemoModel.execute()[1]


@pytest.fixture
def instruct(host, clip):
    def run(text, focus="", ignore="", setting="recommended"):
        instruction = host.lime.LIMEInstruction.execute(clip, text, setting)[1]
        return host.lime.LIMEWords.execute(instruction, focus, ignore)[0]

    return run


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


def test_the_chosen_words_and_the_end_token_may_act_and_nothing_else(clip, instruct):
    text = "make the red circle blue"
    tokens = instruct(text)
    acting = (~tokens.unrelated).nonzero()[:, 0].tolist()
    assert pieces(clip, text, acting) == ["red|", "circle|", "blue|", "<|endoftext|>"]


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
        ("make it red", "", "red", r"ignore leaves no word of 'make it red': chosen were \['red'\]"),
    ],
)
def test_bad_input_is_named(instruct, text, focus, ignore, message):
    with pytest.raises(ValueError, match=message):
        instruct(text, focus, ignore)


def test_the_conditioning_is_that_of_clip_text_encode(host, clip):
    import torch

    (wanted,) = host.nodes.CLIPTextEncode().encode(clip, "make the (red:1.2) circle blue")
    got = host.lime.LIMEInstruction.execute(clip, "make the (red:1.2) circle blue")[0]
    assert torch.equal(got[0][0], wanted[0][0])


def test_the_published_setting_counts_the_end_token_in_and_lets_verbs_act(instruct):
    text = "please make the circle red"  # start, five words, end
    tokens = instruct(text, setting="published")
    assert tokens.locating == (4, 5, 6)
    assert (~tokens.unrelated).nonzero()[:, 0].tolist() == [1, 2, 4, 5, 6]
    recommended = instruct(text)
    assert recommended.locating == (4, 5)
    assert (~recommended.unrelated).nonzero()[:, 0].tolist() == [4, 5, 6]
