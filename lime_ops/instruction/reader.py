"""Reading an instruction's words left to right: what is a command, what a noun, what only a function word."""

import re
from enum import Enum

from . import lexicon as lex
from .forms import base_forms, is_adverb, is_comparative
from .phrases import phrase_length, picture_references
from .words import Neighbours, Word

_VERB_ENDING = re.compile(r"\w{2,}ify|\w{3,}ize")  # "zombify", "modernize"


class Slot(Enum):
    """What may stand at the place the reader has reached."""

    ORDER = "an order may start here"
    ITEM = "after 'and' or a comma: an order, or the next item of a list"
    WISH = "after 'I want': the thing wished for, or 'to' and an order"
    BODY = "the rest of the clause"


class Reader(Neighbours):
    """Reads the words left to right and keeps the content. `slot` says what may stand at the current word."""

    def __init__(self, words: list[Word]) -> None:
        super().__init__(words)
        self.slot = Slot.ORDER
        self.content: list[int] = []
        self.orders: set[int] = set()  # the verbs that give the orders
        self.references = picture_references(words)  # words that only say in which picture
        self.open = False  # an article opened a noun phrase and only content has followed
        self.fronted = False  # the clause began with its place: "in the sky add a kite"
        self.causative = False  # the order was "make", "let" ...: a verb may follow its object

    def read(self) -> list[int]:
        """The indices of the content words, in order."""
        i = 0
        while i < len(self.words):
            if self.words[i].opens_clause:
                self.slot, self.open, self.fronted, self.causative = Slot.ORDER, False, False, False
            elif self.words[i].mark == "," and self.slot is not Slot.ORDER:
                self.slot, self.open = Slot.ITEM, False
            i += self._read_one(i)
        return self.content

    def _read_one(self, i: int) -> int:
        """Reads the word at `i`, or the turn of phrase that starts there; returns how many words that was."""
        word = self.words[i]
        if word.literal or word.is_embedding or self._is_noun(i):
            return self._keep(i)
        if length := phrase_length(self.words, i):
            self.fronted = self.slot is Slot.ORDER
            orders = length > 2 and self.words[i + length - 1].lower == "to"  # "be sure to", "be possible to"
            return self._leave(Slot.ORDER if orders else self.slot, length=length)
        if word.lower in lex.ARTICLES:
            return self._leave(Slot.BODY, opens=True)
        if word.lower in lex.COURTESIES or (word.lower in lex.GREETINGS and self.slot is not Slot.BODY):
            return self._leave(self.slot)
        if (slot := self._slot_after_preamble(i)) is not None:
            return self._leave(slot)
        if self._may_order(i) and self._is_command(i):
            self.fronted = False
            self.orders.add(i)
            self.causative = not base_forms(word.lower).isdisjoint(lex.CAUSATIVES)
            return self._leave(Slot.BODY)
        if self._is_function(i):
            self.fronted = self.fronted or (self.slot is Slot.ORDER and word.lower in lex.PREPOSITIONS)
            return self._leave(self._slot_after_function(i))
        return self._keep(i)

    def _keep(self, i: int) -> int:
        self.content.append(i)
        self.slot = Slot.BODY
        self.open = self.open or self.words[i].possessive
        return 1

    def _leave(self, slot: Slot, opens: bool = False, length: int = 1) -> int:
        self.slot, self.open = slot, opens
        return length

    # Each question below is about the word at `i`.

    def _is_noun(self, i: int) -> bool:
        """Whether a word listed as a function word or light verb stands here as a noun or a name."""
        word, before, after = self.words[i], self._before(i), self._at(i + 1)
        follows_content = bool(before) and self.content[-1:] == [i - 1]
        if (before, word.lower) in lex.PAIRS:
            return follows_content
        if word.lower in lex.CAPITALISED and word.text[0].isupper():
            return self._is_name(i)
        if word.lower not in lex.HOMOGRAPHS:
            return False
        if before == "her":  # "change her look"; in "have her wear a hat" it is no article
            return word.lower == "back" or (word.lower in lex.PHRASE_FINAL_NOUNS and not self.causative)
        if before in lex.ARTICLES or (before and self.words[i - 1].possessive):
            return True
        if word.lower in lex.OF_NOUNS and after == "of":  # "the safe use of the product"
            return True
        if word.lower == "back" and before in lex.PREPOSITIONS:  # "the material of back cup"
            return bool(after) and not self._is_function(i + 1)
        ends = not after or any(after in kind for kind in (lex.PREPOSITIONS, lex.AUXILIARIES, lex.CONJUNCTIONS))
        if word.lower in lex.MODALS:  # "a soda can on the table", "Can of paint", but not "the man can fly"
            return after == "of" or (follows_content and ends and after not in ("be", "not", "never"))
        if word.lower == "mine":
            return follows_content
        if word.lower == "well":  # "the wishing well", but not "light the room well"
            return follows_content and self.open and (before in lex.ADJECTIVES or before.endswith("ing"))
        if word.lower in lex.PHRASE_FINAL_NOUNS and self.open and follows_content:
            if before in lex.ADJECTIVES and self._before(i - 1) in lex.ARTICLES:
                return True  # "the overall look"
            return not self.causative and ends and after not in ("like", "as", "into", "to")
        return False

    def _is_name(self, i: int) -> bool:
        """Whether a capital makes this function word a name ("Will Smith", "in May", "US flag")."""
        word = self.words[i]
        if all(other.text.isupper() for other in self.words):
            return False
        if word.lower in ("us", "it"):
            return word.text.isupper()
        if not word.mark:
            return True
        follows = self.words[i + 1] if self._at(i + 1) else word
        return follows is not word and follows.text[0].isupper() and follows.lower not in lex.FUNCTION_WORDS

    def _slot_after_preamble(self, i: int) -> Slot | None:
        """What may follow if the word only leads to the order ("I want ...", "try ...", "first, ..."), else None."""
        word, after = self.words[i].lower, self._at(i + 1)
        if word in ("me", "us") and self._before(i) in ("let", "help"):
            return Slot.ORDER
        if self.slot not in (Slot.ORDER, Slot.ITEM):
            return None
        if word in ("let's", "lets"):
            return Slot.ORDER
        if word in lex.SEQUENCE and (not after or self._is_command(i + 1)):
            return Slot.ORDER
        if self.slot is Slot.ITEM:
            return None
        if word in lex.WISHES and (self._before(i) or after == "to" or after in lex.OBJECT_STARTERS):
            return Slot.WISH
        if word in lex.LEAD_INS and after not in lex.AUXILIARIES and after != "of":
            return Slot.ORDER
        return None

    def _may_order(self, i: int) -> bool:
        """Whether an order may start at the word: by the slot, or after a place that was put in front."""
        fronted = self.fronted and self.words[i].lower in lex.COMMANDS and self._at(i + 1) in lex.OBJECT_STARTERS
        return self.slot in (Slot.ORDER, Slot.ITEM) or fronted

    def _is_command(self, i: int) -> bool:
        """Whether the word, standing where an order may, is the verb that gives it."""
        word, before, after = self.words[i].lower, self._before(i), self._at(i + 1)
        if after in lex.ADVERBS and self._at(i + 2) in lex.OBJECT_STARTERS:  # "change only the tie"
            after = self._at(i + 2)
        bases = base_forms(word)
        plain = not bases.isdisjoint(lex.COMMANDS) or bool(_VERB_ENDING.fullmatch(word))
        known = plain or not bases.isdisjoint(lex.BARE_COMMANDS)
        gerund = word.endswith("ing") and word not in lex.COMMANDS
        if after == "of" or (after in lex.AUXILIARIES and not self._is_noun(i + 1)):
            return False
        if gerund and (word in lex.PREPOSITIONS or self._continues_participle(i)):
            return False
        if gerund and (before in lex.LEAD_INS or before in lex.GERUND_OPENERS):  # "try adding", "by changing"
            return plain or after in lex.OBJECT_STARTERS
        if known and (after in lex.OBJECT_STARTERS or after in lex.COUNTED_STARTERS):
            return True
        if self.slot is Slot.ORDER and word not in lex.TEXT_CUES and after and self.words[i + 1].literal:
            return not self._is_function(i)  # "Rephrase 'See you'"
        counted = self._at(i + 2) == "of" and after in lex.QUANTIFIERS | {"one"}  # "rub out one of the balls"
        if after in lex.OBJECT_STARTERS or counted or (after == "all" and self._at(i + 2) in lex.ARTICLES):
            inflected = word.endswith(("ing", "ed", "s"))  # "a man, smoking a pipe"
            listed = self.slot is Slot.ITEM and (inflected or self.causative)
            return not gerund and not listed and not self._is_function(i)
        if gerund:  # "burning house"
            return False
        if plain:
            if self.slot is Slot.ORDER or (word in lex.INTRANSITIVES and not after):
                return True
            return bool(after) and (after in lex.PARTICLES or not self._is_function(i + 1))
        if self.slot is Slot.ORDER and known:
            bare_object = bool(after) and not self._is_function(i + 1) and not self._is_fragment(i)
            if word in lex.ADJECTIVES:  # "open curtains", but "light brown fur"
                bare_object = bare_object and after.endswith("s")
            return bare_object or after in lex.PARTICLES or (word, after) == ("paint", "over")
        return False

    def _continues_participle(self, i: int) -> bool:
        """Whether the -ing form goes on with one before it ("blinking and opening her mouth")."""
        return self._before(i) in ("and", "or") and self.content[-1:] == [i - 2] and self._before(i - 1).endswith("ing")

    def _is_fragment(self, i: int) -> bool:
        """Whether the clause from here has a verb or "instead" of its own, so that its first word is a noun."""
        for k in range(i + 1, len(self.words)):
            if not (word := self._at(k)):
                return False
            finite = word in lex.AUXILIARIES or (word in lex.LIGHT_VERBS and not word.endswith("ing"))
            if finite or word in ("instead", "rather"):
                return True
        return False

    def _is_function(self, i: int) -> bool:
        """Whether the word belongs to a closed class or only links a thing to what it becomes."""
        word, before, after = self.words[i].lower, self._before(i), self._at(i + 1)
        if word in lex.FUNCTION_WORDS:
            return True
        if word in lex.EDIT_PARTICIPLES:  # "should be replaced", "I want it removed"; "the removed part" describes
            return before in lex.AUXILIARIES or (before not in lex.ARTICLES and word != "set")
        if word == "change" and before in lex.AUXILIARIES:  # "only the tie should change"
            return True
        if word in lex.DEGREES:  # "way bigger", "a little darker", "pretty dark"
            if word == "little" and before == "a" and not after:  # "move it down a little"
                return True
            alone = not self._at(i + 2) or self._at(i + 2) in lex.FUNCTION_WORDS
            return after in ("more", "less", "too") or is_comparative(after) or (after in lex.ADJECTIVES and alone)
        if word in ("read", "reads", "reading"):  # 'the sign reads "Open"'
            return i + 1 < len(self.words) and self.words[i + 1].literal
        if word == "worn":  # "a hat worn by the boy", but "a worn carpet"
            return before not in lex.ARTICLES and (not after or after in lex.FUNCTION_WORDS)
        if word == "right":  # "right behind"; "on the right" names a place
            return before not in lex.ARTICLES and after in lex.PREPOSITIONS
        if word in lex.PRAISE:  # "it would look better with a hat"
            hypothetical = any(self.words[k].lower in lex.HYPOTHETICALS for k in range(max(i - 3, 0), i))
            return before in ("be", "look", "it", "is") and hypothetical and after in lex.PRAISE_FOLLOWERS
        if word in lex.CARRIERS:  # "take a bite", "gives a smile"
            return after in lex.ARTICLES
        if is_adverb(word) and self.slot is not Slot.BODY and after:  # "fully redraw the hair"
            return self._is_command(i + 1) and self._at(i + 2) in lex.OBJECT_STARTERS
        return i in self.references

    def _slot_after_function(self, i: int) -> Slot:
        """What may stand after this function word."""
        word, before = self.words[i].lower, self._before(i)
        if word in lex.SPEAKERS:
            return Slot.ORDER
        if word in lex.PRAISE:
            return Slot.WISH
        if word == "to" and self._at(i + 1) in lex.PURPOSE_VERBS and self._at(i + 2) in lex.OBJECT_STARTERS:
            return Slot.ORDER  # "to make it look festive"
        if (word == "to" and self.slot is Slot.WISH) or (word == "about" and before in ("how", "what")):
            return Slot.ORDER
        if word in lex.CONJUNCTIONS or (word in lex.GERUND_OPENERS and self.slot is Slot.BODY):
            return Slot.ORDER if self.slot is Slot.ORDER else Slot.ITEM
        if word in lex.TRANSPARENT or is_adverb(word) or (word in lex.AUXILIARIES and word != "be"):
            return self.slot
        return Slot.BODY
