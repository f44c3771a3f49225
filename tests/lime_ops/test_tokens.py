"""Who locates and who may act, at both settings."""

from lime_ops import PUBLISHED, RECOMMENDED, TokenColumns, acting_tokens, locating_tokens

# start 0, make 1, the 2, hat 3, red 4, end 5
COLUMNS = TokenColumns(chosen=[3, 4], functions=[2], text=[1, 2, 3, 4], ends=[5])


def test_recommended_the_chosen_words_locate_and_act_with_the_end_token():
    assert locating_tokens(COLUMNS, RECOMMENDED) == [3, 4]
    assert acting_tokens(COLUMNS, RECOMMENDED) == [3, 4, 5]


def test_published_the_end_token_locates_and_all_but_function_words_act():
    assert locating_tokens(COLUMNS, PUBLISHED) == [3, 4, 5]
    assert acting_tokens(COLUMNS, PUBLISHED) == [1, 3, 4, 5]


def test_chosen_function_words_act_at_the_recommended_setting_alone():
    columns = COLUMNS._replace(chosen=[2])
    assert acting_tokens(columns, RECOMMENDED) == [2, 5]
    assert 2 not in acting_tokens(columns, PUBLISHED)
