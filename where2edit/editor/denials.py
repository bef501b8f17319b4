"""Denials: a prompt that says what should go ("remove the glasses", "no beard") is the reverse of the edit it names.

Encoders of text and images put "no beard" close to "a beard", and a mapper adds what it reads. A small grammar takes a
prompt apart before anything is embedded: pieces between commas, "and", "or" and "but", each with the attribute that it
names and whether it is denied. Two denials cancel ("don't remove the beard"). A negation ("no", "without", "not")
denies its own piece, a verb of removal ("take off the hat and the glasses") also what "and" or a comma joins to it, and
"or" and "nor" carry either on. A few words are denials by themselves ("clean-shaven", "hatless"). Ours, not the
paper's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from where2edit.text_image.base import check_text, visible

MAX_WORDS, MAX_LETTERS = 60, 600  # of one prompt; longer descriptions are split and applied one by one
LONGEST = 10_000  # letters of a description of several things
PARTICLES = r"off|away|out"
PARTICLE_VERBS = r"tak(?:e|es|ing)|wip(?:e|es|ing)|wash(?:es|ing)?|pull(?:s|ing)?|strip(?:s|ping)?|cut(?:s|ting)?"
PARTICLE_VERBS += r"|sha(?:ve|ves|ved|ving)"
REMOVAL = (
    rf"get(?:s|ting)? rid of|does? away with|do away with|(?:{PARTICLE_VERBS}) (?:{PARTICLES})|stop(?:s|ped|ping)?|"
    r"(?:remov|delet|eras|eliminat|reduc|los|shav)(?:e|es|ed|ing)|drop(?:s|ped|ping)?"
)
NEGATION = (
    r"(?:is|are|was|does|do|did|has|have|had|should|must|can)(?: not|n't)|dont|doesnt|isnt|arent|no longer|no more|not|"
    r"non|no|never|neither|without|w/o|minus|sans|(?:free|devoid) of|free from|(?:the )?(?:absence|lack) of|"
    r"lack(?:s|ing)?|less|fewer"
)
# "take the hat off" -> "take off the hat"
SEPARATED = re.compile(rf"\b({PARTICLE_VERBS})\s+(?!(?:{PARTICLES})\b)([^,;.]+?)\s+({PARTICLES})\b", re.IGNORECASE)
MARKER = re.compile(rf"(?<![\w-])(?:(?P<removal>{REMOVAL})|{NEGATION})(?![\w-])", re.IGNORECASE)
# Between two attributes; the period of a number ("1.5 cm") is none.
SEPARATOR = r"(?:[,;\u3001\u3002\uff0c\uff1b\u060c]|\.(?!\d))"
JOINT = re.compile(rf"(\s*{SEPARATOR}+\s*(?:\b(?:and|but|or|nor)\b\s*)?|\s+(?:and|but|or|nor)\b\s*)", re.IGNORECASE)
AFFIRMED = re.compile(r"(?:add|give|put|make|with|has|have|having|wear|wearing)\b", re.IGNORECASE)
# Words around an attribute that say nothing of it.
LITTLE = r"a|an|the|any|some|all|his|her|their|its|this|that|of|him|them|he|she|they|it|who|please|just|at all|show"
LITTLE += r"|(?:sign|trace|hint) of|got|is|are|be|being|has|have|having|had|with|wear|wears|wearing|look|looks|looking"
LITTLE += r"|add|give|put on|make|to|on"
PLACES = r"(?:on|from|in) (?:the|his|her|their) (?:face|head|nose|chin|lips|cheeks)"
BEFORE = re.compile(rf"^(?:(?:{LITTLE})(?:\s+|$))+", re.IGNORECASE)
AFTER = re.compile(rf"(?:\s+(?:{LITTLE}|whatsoever|anymore|{PLACES}))+$", re.IGNORECASE)
WHO = "person|man|woman|boy|girl|lady|face|someone|head|photo|he|she|they|it|i|you"
PERSON = re.compile(rf"(?:(?:a|an|the|this) )?(?:{WHO})?(?:'s|'re)?", re.IGNORECASE)
# Whole pieces -> what they ask for, denied where it begins with "-".
HIS = r"(?:his |her |their |the )?"
IDIOMS = {
    r"(?:clean|smooth|freshly)[- ]shave[nd](?: \w+)?|shave[nd](?: face| cheeks| chin)?|beardless|unbearded": "-beard",
    r"shave(?: (?:him|it|the face|his face))?": "-beard",
    rf"(?:no|without|lacking|less) (?:any )?hair(?: (?:at all|left|on {HIS}head))?|hairless": "bald",
    rf"los(?:e|es|ing) {HIS}hair|shave (?:off )?{HIS}(?:head|hair)": "bald",
    r"(?:unsmiling|straight[- ]faced)(?: face)?": "-smile",
    r"hatless|bare[- ]?headed": "-hat",
    r"bare[- ]?faced": "-makeup",
    r"untanned(?: skin)?": "-tanned skin",
    r"los(?:e|es|ing) (?:some |the )?weight": "-chubby",
}
# Nouns that take an article, so that an attribute reads as it would have been typed.
COUNTED = {"beard", "moustache", "mustache", "goatee", "hat", "cap", "beanie", "smile", "grin", "fringe", "necklace"}
COUNTED |= {"necktie", "tie", "frown", "man", "woman"}
# Parts that every face has: before a denial they say where ("hair without bangs", "hair that is not black").
PARTS = {"hair", "haircut", "eyebrows", "brows", "lips", "eyes", "skin", "nose", "cheeks", "chin", "mouth", "head"}
# Denials that stand behind what they deny -> the same in front of it.
BEHIND = (
    (re.compile(r"^(.+?) (?:is |are )?(?:removed|deleted|erased|gone|taken off|shaved off)$", re.IGNORECASE), r"no \1"),
    (re.compile(r"^(smile|grin|frown|laugh) less$", re.IGNORECASE), r"less \1"),
    (re.compile(r"^(\w+)[- ]free$", re.IGNORECASE), r"no \1"),
)


@dataclass(frozen=True)
class Statement:
    """One attribute that a prompt names, and whether the prompt denies it."""

    attribute: str
    denied: bool = False

    def __str__(self) -> str:
        """As outputs show it: "a beard", or "a beard, reversed"."""
        return f"{self.attribute}, reversed" if self.denied else self.attribute

    @property
    def prompt(self) -> str:
        """A prompt that says the same: "a beard" or "no beard"."""
        return f"no {self.attribute.removeprefix('a ')}" if self.denied else self.attribute


def statements(prompt: str) -> tuple[Statement, ...]:
    """What a prompt says, in its order; a prompt without any denial is one statement, word for word.

    Raises ValueError for a denial of nothing, such as "remove the", and for what is no text or endless.
    """
    check_text(prompt)
    if len(prompt) > LONGEST:
        raise ValueError(f"a description has {len(prompt):,} characters, at most {LONGEST:,} are read; shorten it")
    text = SEPARATED.sub(r"\1 \3 \2", " ".join(visible(prompt).replace("\u2019", "'").split()))
    for behind, in_front in BEHIND:
        text = behind.sub(in_front, text)
    if (idiom := _idiom(text)) is not None:
        return (idiom,)
    pieces = JOINT.split(text)  # piece, joint, piece, ...
    if not any(MARKER.search(piece) or _idiom(piece) for piece in pieces[::2]):
        return (Statement(prompt),)
    found: list[Statement] = []
    denied = removal = False
    for number, piece in enumerate(pieces[::2]):
        carried = denied and _carried(pieces[2 * number - 1 :: 2], piece, removal)
        said, denied, removal = _read(piece, carried, removal)
        found += said
    if not found:
        raise ValueError(f"{text[:60]!r} says that something should go, but not what; for example 'no beard'")
    return tuple(found)


def single(prompt: str) -> Statement:
    """The only statement of a prompt. Raises ValueError where it says several things with a denial among them."""
    found = statements(prompt)
    if len(found) > 1:
        parts = ", ".join(f"'{statement.prompt}'" for statement in found)
        raise ValueError(f"{prompt[:60]!r} says several things, one of them a denial; make one edit of each: {parts}")
    return found[0]


def check_length(prompt: str) -> None:
    """Raise ValueError for a prompt of more words or letters than one edit is described with."""
    for got, most, unit in ((len(prompt.split()), MAX_WORDS, "words"), (len(prompt), MAX_LETTERS, "characters")):
        if got > most:
            raise ValueError(f"a prompt has {got} {unit}, at most {most} are read; use --long to split it")


def _carried(joints: list[str], piece: str, removal: bool) -> bool:
    """Whether a piece is denied with the one before it; `joints` are those from between the two on."""
    words = [re.sub(r"\W", "", joint).lower() for joint in joints]
    if words[0] in ("or", "nor"):
        return True
    if removal:
        return words[0] != "but" and AFFIRMED.match(piece) is None
    # "no hat, glasses or beard": a list that ends with "or" is denied as a whole.
    return words[0] == "" and next((word for word in words if word), "") in ("or", "nor")


def _read(piece: str, carried: bool, removal: bool) -> tuple[list[Statement], bool, bool]:
    """What one piece says, whether it denies, and whether by a verb of removal.

    carried: it is denied with the piece before it, and `removal` says how.
    """
    if (idiom := _idiom(piece)) is not None:
        return [idiom], False, False
    marker = MARKER.search(piece)
    if marker is None:
        bare = _bare(piece)
        return [Statement(bare, carried)] if bare else [], carried, removal
    before, first = AFTER.sub("", piece[: marker.start()].strip()), marker[0].lower()
    rest, denied, removal = piece[marker.start() :], False, False
    while marker := MARKER.match(rest):
        denied, removal = not denied, removal or marker["removal"] is not None
        rest = BEFORE.sub("", rest[marker.end() :].strip())
    attribute = _bare(rest)
    if (part := _bare(before).lower()) in PARTS and first.endswith(("not", "nt", "n't")):
        attribute = f"{attribute} {part}"  # "hair that is not black"
    affirmed = "" if part in PARTS or PERSON.fullmatch(before) else _without(AFFIRMED, before)
    said = [Statement(affirmed), Statement(attribute, denied)]
    return [statement for statement in said if statement.attribute], denied, removal


def _without(words: re.Pattern, text: str) -> str:
    """The text without the words at its start."""
    return words.sub("", text, count=1).strip() if words.match(text) else text


def _bare(text: str) -> str:
    """An attribute without the words around it, with an article where it is a thing that is counted."""
    bare = AFTER.sub("", BEFORE.sub("", text.strip(" ,;.")))
    return f"a {bare}" if bare.lower() in COUNTED else bare


def _idiom(text: str) -> Statement | None:
    """What a piece that is an expression of its own asks for."""
    whole = text.strip(" ,;.")
    for words, asked in IDIOMS.items():
        if any(re.fullmatch(words, each, re.IGNORECASE) for each in (whole, BEFORE.sub("", whole))):
            return Statement(_bare(asked.removeprefix("-")), asked.startswith("-"))
    return None
