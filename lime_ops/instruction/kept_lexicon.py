"""The English words that say what must stay as it is, for `kept.py`. All entries are lower case."""

from .lexicon import word_set

# Openers of a clause that names what must NOT change ("while keeping ...").
KEEPERS = word_set(
    "keep keeping keeps preserve preserving preserves maintain maintaining maintains retain retaining retains"
)
# So do these, but only with a word that tells "leave it alone" from "leave it open".
LEAVERS = word_set("leave leaving leaves")
UNTOUCHED = word_set("unchanged alone same untouched intact unaltered unmodified")
# And these, when what they ask for stays or only has to fit in ("ensuring the wall does not change").
ENSURERS = word_set("ensure ensuring ensures guarantee guaranteeing")
SURE_MAKERS = word_set("make making makes be being")
FITTING = word_set(
    "same consistent consistency natural naturally seamless seamlessly realistic realistically blend blends blended "
    "match matches harmony harmonious harmoniously cohesive intact unchanged unaltered untouched unmodified"
)
# Forbid: "don't forget" and "I don't want" do not.
AVOIDERS = word_set("avoid avoiding avoids")
REMINDERS = word_set("forget hesitate fail mind")
CHANGES = word_set("change changes alteration alterations modification modifications edits adjustment adjustments")
NOTS = word_set(
    "not never isn't aren't wasn't weren't ain't doesn't didn't don't dont cannot can't couldn't won't wouldn't "
    "shouldn't mustn't"
)
TOUCHES = word_set(
    "change changes changed changing alter alters altered altering touch touched touching modify modifies modified "
    "modifying affect affects affected affecting edit edited editing move moves moved differ vary shift"
)
# Predicates of what stays ("the face is perfectly preserved", "the walls must stay as they are").
STAYERS = word_set("stay stays staying remain remains")
OBLIGATIONS = word_set("has have needs need ought is are")  # before "to stay"
UNTOUCHED_ADJECTIVES = word_set(
    "unchanged untouched intact unaltered unmodified unaffected undisturbed preserved kept retained maintained"
)
# Ask the edit to fit what is there ("to blend into the room", "matching the original font").
BLENDERS = word_set("blend blends blending integrate integrates integrating")
MATCHERS = word_set("match matches matching consistent")
ORIGINALS = word_set("original existing surrounding surroundings rest remaining scene photo image picture")
# Before "same", and what "the same as ..." goes on with where nothing else is meant ("the same as before").
EXACT = word_set("exact exactly very these those")
SAME_AS = word_set("before in original is was are were")
# Before the subject of a clause.
CLAUSE_OPENERS = word_set("while whereas but because so yet though although with")
# Verbs that give a clause an edit of its own ("keep the sky, the car should be red").
MODAL_VERBS = word_set("should must shall could would needs need becomes")
