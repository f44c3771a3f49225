"""How an edit of a scene is asked for, by split and kind of edit. What is kept for evaluation never occurs in training.

{o}: the object, {n}: the new shape, {c}: the new colour, {g}: the new background,
{p}, {d}: another object, its new colour.
"""

WORDINGS = {
    "train": {
        "recolour": (
            "make the {o} {c}", "turn the {o} {c}", "change the {o} to {c}", "paint the {o} {c}",
            "the {o} should be {c}", "could you make the {o} {c}", "I want a {c} {o}", "I want the {o} to become {c}",
            "please make the {o} {c}", "let the {o} become {c}",
        ),
        "replace": (
            "replace the {o} with a {n}", "turn the {o} into a {n}", "change the {o} into a {n}",
            "swap the {o} for a {n}", "please make the {o} a {n}", "what if the {o} were a {n}",
            "could you make the {o} a {n}", "the {o} should become a {n}", "I want the {o} to become a {n}",
            "I want a {n} instead of the {o}", "let the {o} become a {n}",
        ),
        "remove": (
            "remove the {o}", "delete the {o}", "take away the {o}", "please get rid of the {o}",
            "I want the {o} to be gone", "let the {o} vanish", "could you delete the {o}", "please remove the {o}",
        ),
        "background": (
            "make the background {g}", "turn the background {g}", "change the background to {g}",
            "the background should be {g}", "could you paint the background {g}", "what if the background were {g}",
            "I want a {g} background", "please turn the background {g}", "let the background become {g}",
        ),
        "two": (
            "make the {o} {c} and the background {g}", "turn the {o} {c} and the background {g}",
            "paint the background {g} and the {o} {c}", "I want a {c} {o} and a {g} background",
            "make the {o} {c} and the {p} {d}", "turn the {p} {d} and the {o} {c}",
            "let the {o} become {c} and the {p} become {d}",
        ),
    },
    "held_out": {
        "recolour": (
            "I want the {o} to be {c}", "please paint the {o} {c}", "what if the {o} were {c}", "let the {o} be {c}",
        ),
        "replace": ("could you replace the {o} with a {n}", "the {o} should be a {n}", "I want the {o} to be a {n}"),
        "remove": ("could you remove the {o}", "please take away the {o}", "make the {o} vanish"),
        "background": (
            "I want the background to be {g}", "please make the background {g}", "let the background be {g}",
        ),
        "two": (
            "please make the {o} {c} and the background {g}", "I want the {o} to be {c} and the background to be {g}",
            "paint the {o} {c} and the {p} {d}", "let the {p} be {d} and the {o} be {c}",
        ),
    },
}  # fmt: skip
