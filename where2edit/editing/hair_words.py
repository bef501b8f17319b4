"""Whether a prompt is about hair and nothing else, and whether it names a colour or a style of hair, by its words.

Ours: HairCLIP gets style and colour as two texts; here one prompt may name either or both.
"""

from __future__ import annotations

from where2edit.editing.prompt_parts import PartWords, named_parts

HAIR = frozenset({"hair"})
COLOUR = PartWords(
    r"blonde?|brunette|redhead|auburn|ginger|platinum|golden|silver|gr[ae]y|white|black|brown|dark|light|red|purple|"
    r"violet|blue|green|pink|orange|yellow|dyed|highlights|colou?r(?:ed|s)?",
    "hair",
)
# Styles that prompt_parts.py has no words for.
CUT = PartWords(
    r"hair ?(?:style|cut|do)s?|afro|mohawk|quiff|bob|undercut|ponytail|pigtails|bun|braids?|braided|dreadlocks|perm|"
    r"permed|(?:crew|bowl|pixie|buzz) ?cut|slicked back",
    "hair",
)
STYLE = PartWords(
    r"bangs|fringe|bald|balding|hairless|receding|curl\w*|wavy|straight|long|short|shoulder-length|thick|thin|messy|"
    r"fluffy|frizzy|spiky|layered|style[ds]?",
    "hair",
)


def about_hair(prompt: str) -> bool:
    """Whether a prompt names hair and no other part of a face: "a woman with bangs" does, "old" and "a hat" do not."""
    named, cut = named_parts(prompt), CUT.names(prompt.lower())
    if cut and (named is None or named.must == {"face", "hair"}):  # "a mohawk", "a man with a mohawk"
        return True
    return named is not None and named.must == HAIR


def hair_change(prompt: str) -> tuple[bool, bool]:
    """What of the hair a prompt changes: (style, colour); where its words name neither, both."""
    text = prompt.lower()
    style, colour = STYLE.names(text) or CUT.names(text), COLOUR.names(text)
    return (style, colour) if style or colour else (True, True)


def names_hair_colour(prompt: str) -> bool:
    """Whether a prompt is about hair and names a colour of it."""
    return about_hair(prompt) and COLOUR.names(prompt.lower())
