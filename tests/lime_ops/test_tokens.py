"""Who locates and who may act, at both settings."""

from dataclasses import replace

import pytest

from lime_ops import PUBLISHED, RECOMMENDED, TokenColumns, acting_tokens, locating_tokens
from lime_ops.instruction.stop_words import STOP_WORDS


def columns(pieces, chosen=(), verbs=()):
    """Start token 0, the pieces from 1 on, the end token; the verbs by spelling."""
    pieces = pieces.split()
    tagged = [i for i, piece in enumerate([*pieces, "END"], 1) if piece in verbs]
    text = list(range(1, len(pieces) + 1))
    return TokenColumns(list(chosen), text, pieces, [len(pieces) + 1], [0], frozenset(tagged))


def acting(given, settings):
    """Columns that may act of start token, text, end token and two of padding."""
    return acting_tokens(given, len(given.text) + 4, settings)


def test_recommended_the_chosen_words_locate_and_act_with_all_that_is_no_word_and_no_start():
    hat = columns("make the hat red", chosen=[3, 4], verbs=["make"])
    assert locating_tokens(hat, RECOMMENDED) == [3, 4]
    assert acting(hat, RECOMMENDED) == [3, 4, 5, 6, 7]


def test_with_padding_silenced_the_chosen_words_act_with_the_end_token():
    hat = columns("make the hat red", chosen=[3, 4], verbs=["make"])
    assert acting(hat, replace(RECOMMENDED, silenced="start, other words and padding")) == [3, 4, 5]


def test_each_chunk_has_a_start_token_that_may_not_act():
    two = columns("make the hat red", chosen=[3, 4])._replace(ends=[5, 9], begins=[0, 8])
    assert acting_tokens(two, 11, RECOMMENDED) == [3, 4, 5, 6, 7, 9, 10]


def test_recommended_stop_words_verbs_and_marks_count_where_they_are_chosen():
    saw = columns("the saw , now", chosen=[2, 3, 4], verbs=["saw", "END"])
    assert locating_tokens(saw, RECOMMENDED) == [2, 3, 4]
    assert acting(saw, RECOMMENDED) == [2, 3, 4, 5, 6, 7]


# Pieces, and which of them the published tagger calls verbs, as seen when the published code ran.
@pytest.mark.parametrize(
    ("pieces", "verbs", "locating", "allowed"),
    [
        ("make the hat red", ["make"], "hat red END", "make hat red END"),
        ("make the hat red", ["make", "red"], "hat END", "make hat red END"),
        ("change the hat", [], "change hat END", "change hat END"),
        ("turn the sky red", ["turn"], "sky red END", "turn sky red END"),
        ("turn him into snow", [], "turn snow END", "turn snow END"),
        ("let it snow", ["let", "snow"], "END", "let snow END"),
        ("remove it", ["remove", "END"], "", "remove END"),
        ("croche ted hat", ["ted"], "croche hat END", "croche ted hat END"),
        ("don 't", [], "'t END", "'t END"),
        ("hat , red ... () !?", [], "hat red ... !? END", "hat , red ... () !? END"),
    ],
)
def test_published_pieces_locate_and_act_by_stop_words_punctuation_and_tags(pieces, verbs, locating, allowed):
    given = columns(pieces, verbs=verbs)
    spelled = dict(zip([*given.text, *given.ends], [*given.pieces, "END"], strict=True))
    assert [spelled[c] for c in locating_tokens(given, PUBLISHED)] == locating.split()
    assert [spelled[c] for c in acting(given, PUBLISHED)] == allowed.split()


def test_published_words_that_a_user_names_locate_whatever_they_are():
    given = columns("make the hat red", chosen=[1, 2], verbs=["make"])
    assert locating_tokens(given, PUBLISHED) == [1, 2, 5]
    assert acting(given, PUBLISHED) == [1, 3, 4, 5]


def test_the_stop_words_are_the_179_of_nltk():
    assert len(STOP_WORDS) == 179
    assert {"don", "don't", "t", "her", "into", "should've"} <= STOP_WORDS
    assert STOP_WORDS.isdisjoint({"'t", "i'm", "i've", "he'd"})  # the last three came in 2025
