"""Which words of an instruction say what must stay as it is.

Three constructions say so. An opener ("keep", "without changing", "but not", "ensuring ... remains") spares what
follows it, to the end of the sentence or to the next order. A "same" spares its own phrase. A predicate of staying
("remains", "is preserved", "unchanged", "does not change") spares its clause, whose subject stands before it.
"""

from enum import Enum

from . import kept_lexicon as stay
from . import lexicon as lex
from .forms import is_adverb
from .words import Neighbours, Word


class Scope(Enum):
    """How far an opener reaches."""

    PHRASE = "to the next mark or conjunction with an order"
    CLAUSE = "to the end of the sentence or the next order, over commas, colons and dashes"


def kept_words(words: list[Word], orders: set[int]) -> set[int]:
    """The indices of the words in clauses that say what must stay as it is ("but keep the sky the same").

    orders: the indices of the verbs that order an edit, where what must stay ends.
    """
    return _Kept(words, orders).find()


class _Kept(Neighbours):
    def __init__(self, words: list[Word], orders: set[int]) -> None:
        super().__init__(words)
        self.commands = orders
        self.orders = {i for i in orders if not self._opens(i)}  # "keep" orders too, but no edit

    def find(self) -> set[int]:
        kept: set[int] = set()
        scope: Scope | None = None
        depth = 0
        for i, word in enumerate(self.words):
            if scope and (word.depth < depth or self._ends(i, scope)):
                scope = None
            if opened := self._opens(i):
                scope = scope if scope is Scope.CLAUSE else opened
                depth = word.depth
            if scope:
                kept.add(i)
        for i in range(len(self.words)):
            if (i not in kept or self._denies_of_subject(i)) and self._predicates(i):
                kept.update(self._clause_around(i))
        return kept

    # --- reading words ------------------------------------------------------------------------------------------------

    def _stretch(self, i: int, marks: str) -> list[str]:
        """The words from `i` to the next of the marks, order or "but", in lower case."""
        stretch = [self.words[i].lower]
        for k, word in enumerate(self.words[i + 1 :], i + 1):
            if (word.mark and word.mark in marks) or word.lower == "but" or k in self.commands:
                break
            stretch.append(word.lower)
        return stretch

    def _skip_adverbs(self, i: int) -> int:
        """The first word from `i` on that is no adverb: "meticulously keeping", "please only change"."""
        while self._at(i + 1) and (is_adverb(self.words[i].lower) or self.words[i].lower in lex.COURTESIES):
            i += 1
        return i

    # --- openers ------------------------------------------------------------------------------------------------------

    def _opens(self, i: int) -> Scope | None:
        """The scope of what must stay that opens at the word, None if nothing does."""
        if self.words[i].literal:
            return None
        if self._is_same(i):
            return Scope.PHRASE
        word, before = self.words[i].lower, self._before(i)
        bracket = i > 0 and self.words[i].depth > self.words[i - 1].depth
        heads = not before or bracket or i in self.commands or before in lex.COURTESIES
        heads = heads or (before in lex.FUNCTION_WORDS and before not in lex.ARTICLES)
        if not (heads or word.endswith("ing") or word in ("not", "without", "so", "consistent")):
            return None
        verb = self._skip_adverbs(i)
        return Scope.CLAUSE if self._keeps(verb) or self._forbids(verb) or self._asks_to_fit(verb) else None

    def _keeps(self, i: int) -> bool:
        """Whether "keep ...", "leave ... alone", "leaving only ..." or "make sure ... stays" starts at the word."""
        word, after = self.words[i].lower, self._at(i + 1)
        if word in stay.LEAVERS:
            stretch = self._stretch(i, ".:-")
            stays = any(self._predicates(i + k) for k in range(1, len(stretch)))  # "leave her hair as it is"
            return after in ("only", "just") or stays or not stay.UNTOUCHED.isdisjoint(stretch)
        ensures = word in stay.ENSURERS or (word in stay.SURE_MAKERS and after == "sure")
        purpose = word == "so" and (after == "that" or after in lex.OBJECT_STARTERS)
        if ensures or purpose:
            body = self._stretch(i, "." if ensures else ".,")
            return not stay.FITTING.isdisjoint(body) or any(self._predicates(i + k) for k in range(1, len(body)))
        return word in stay.KEEPERS

    def _forbids(self, i: int) -> bool:
        """Whether "do not blur", "without altering", "avoid", "no changes to" or "but not" starts at the word."""
        word, before, after = self.words[i].lower, self._before(i), self._at(i + 1)
        subject = before in lex.SPEAKERS or before in lex.PRONOUNS
        if word in ("don't", "dont", "never") or (word == "do" and after == "not"):
            verb = self._at(i + 2) if word == "do" else after
            return bool(verb) and not subject and verb not in lex.WISHES and verb not in stay.REMINDERS
        if word == "without":
            return after.endswith("ing") and after not in lex.ING_NOUNS and bool(self._at(i + 2))
        if word == "no":
            return after in stay.CHANGES or self._at(i + 2) in stay.CHANGES
        if word == "careful":
            return after == "not"
        if word == "not":
            definite = after in lex.ARTICLES - {"a", "an"} and any(order < i for order in self.orders)
            touches = not stay.TOUCHES.isdisjoint((after, self._at(i + 2) if after == "to" else ""))
            return before == "but" or touches or (self.words[i].mark == "," and definite)
        return word in stay.AVOIDERS

    def _asks_to_fit(self, i: int) -> bool:
        """Whether the words only ask that the edit fit what is there: "to blend in", "matching the existing light"."""
        word, before = self.words[i].lower, self._before(i)
        if word in stay.MATCHERS:
            return not stay.ORIGINALS.isdisjoint(self._stretch(i, ".:-,"))
        purpose = before == "to" and self._before(i - 1) not in lex.SPEAKERS | lex.WISHES
        return word in stay.BLENDERS and (purpose or word.endswith("ing"))

    def _is_same(self, i: int) -> bool:
        """Whether "same" ("exact same", "very same") opens a phrase here that names what stays.

        Not in "paint both doors the same colour" or "the same colour as the door", which say what they become.
        """
        start = i
        while self.words[i].lower in stay.EXACT and self._at(i + 1):
            i += 1
        if self.words[i].lower != "same" or self._at(i + 1) == "time":
            return False
        while self._before(start) in lex.ARTICLES | stay.EXACT:
            start -= 1
        before, phrase = self._before(start), self._stretch(i, ".:-,")
        compared = "as" in phrase[:-1] and phrase[phrase.index("as") + 1] not in stay.SAME_AS
        described = bool(before) and before not in lex.FUNCTION_WORDS and not before.endswith("ing")
        return not compared and not described

    def _ends(self, i: int, scope: Scope) -> bool:
        """Whether what must stay ends before the word."""
        word = self.words[i]
        if word.mark == "." or word.lower in ("but", "while", "whereas") or (scope is Scope.PHRASE and word.mark):
            return True
        if not word.mark and self._before(i) not in lex.CONJUNCTIONS - {"or", "nor"}:
            return False
        return self._starts_order(i)

    def _starts_order(self, i: int) -> bool:
        """Whether an order or a clause of its own starts here, rather than one more thing that must stay."""
        if self._skip_adverbs(i) in self.orders:
            return True
        own_clause = self.words[i].mark and self.words[i].lower in lex.FUNCTION_WORDS
        return bool(own_clause) and not stay.MODAL_VERBS.isdisjoint(self._stretch(i, ".:-,"))

    # --- predicates ---------------------------------------------------------------------------------------------------

    def _predicates(self, i: int) -> bool:
        """Whether the word says of something before it that it stays."""
        word, before, after = self.words[i].lower, self._before(i), self._at(i + 1)
        ends = not after or after in lex.FUNCTION_WORDS
        if not before or self.words[i].literal:
            return False
        if word in stay.STAYERS:
            must = before != "to" or self._before(i - 1) in stay.OBLIGATIONS
            return before not in lex.ARTICLES and must
        if word in stay.UNTOUCHED_ADJECTIVES:
            return ends and before not in lex.ARTICLES
        if word == "same":
            return ends and before in lex.ARTICLES and self._before(i - 1) in lex.AUXILIARIES | {"exactly"}
        if word == "as":
            ends = not self._at(i + 3) or self._at(i + 3) in lex.CONJUNCTIONS
            return ends and after in lex.PRONOUNS and self._at(i + 2) in lex.AUXILIARIES
        if word in stay.NOTS or word == "nothing":
            return self._next_verb(i) in stay.TOUCHES
        return False

    def _denies_of_subject(self, i: int) -> bool:
        """Whether the word is the "not" of "the wall should not change", which opens nothing but ends a clause."""
        return self.words[i].lower in stay.NOTS and self._before(i) in lex.AUXILIARIES

    def _next_verb(self, i: int) -> str:
        """The word after `i`, over "be", "else", modal verbs and adverbs: "altered" of "not be visibly altered"."""
        i += 1
        while self._at(i) and (self._at(i) in lex.AUXILIARIES | {"else"} or is_adverb(self._at(i))):
            i += 1
        return self._at(i)

    def _clause_around(self, i: int) -> set[int]:
        """The words of the clause whose predicate stands at `i`, from its subject to the next mark or order."""
        start = i
        while start > 0 and not self._starts_clause(start, i):
            start -= 1
        if start in self.orders:
            return set()
        end = i + 1
        while end < len(self.words) and not self._ends(end, Scope.PHRASE):
            end += 1
        return set(range(start, end))

    def _starts_clause(self, i: int, predicate: int) -> bool:
        """Whether the subject of the predicate starts at the word or right after it, read from the right."""
        if self.words[i].opens_clause or i in self.orders:
            return True
        if self.words[i].lower == "with":  # "with the face preserved", but "the man with the hat should stay"
            between = {word.lower for word in self.words[i:predicate]}
            return self.words[predicate].lower in stay.UNTOUCHED_ADJECTIVES and between.isdisjoint(lex.AUXILIARIES)
        if self.words[i].lower in stay.CLAUSE_OPENERS:
            return True
        if self.words[i].mark == ",":  # "the walls, the floor and the ceiling remain": a list goes on to the left
            listed = any(self.words[k].lower == "and" for k in range(i, predicate))
            return not (listed and self._is_listed(i - 1))
        return self._before(i) == "and" and not self._is_listed(i - 2)

    def _is_listed(self, i: int) -> bool:
        """Whether the stretch that ends at the word only lists things: no order and no verb of its own."""
        while i >= 0:
            word = self.words[i]
            if i in self.orders or word.lower in lex.AUXILIARIES or word.lower in lex.LIGHT_VERBS:
                return False
            if word.opens_clause or word.lower in stay.CLAUSE_OPENERS:
                return True
            i -= 1
        return True
