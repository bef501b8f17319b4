"""The grammar of denials: what a prompt says, and what it denies."""

import pytest

from where2edit.editor.denials import Statement, single, statements
from where2edit.editor.descriptions import split_denials, split_description

REVERSED = {
    "a beard": "no beard|without a beard|remove his beard|shave the beard|shave the beard off|clean-shaven|"
    "clean shaven|a clean shaven face|a clean-shaven man|beardless|a man without a beard|no sign of a beard|he shaved|"
    "shave him",
    "glasses": "no glasses|remove the glasses|take the glasses off|take her glasses off|take off the glasses|"
    "get rid of the glasses|she doesn't have glasses|he is not wearing glasses|glasses removed|glasses-free|"
    "remove the glasses from her face|no more glasses|dont wear glasses|he's not wearing glasses",
    "a hat": "lose the hat|hatless|bareheaded|never wears a hat|without any hat|no hat at all|drop the hat|sans hat",
    "smiling": "not smiling|isn't smiling|stop smiling|a woman who is not smiling|no longer smiling",
    "a smile": "less smile|smile less|unsmiling|an unsmiling face|no smile",
    "makeup": "less makeup|free of makeup|makeup-free|bare-faced|no makeup please",
    "bangs": "get rid of the bangs|hair without bangs|a haircut without bangs|a face that has no bangs",
    "black hair": "hair that is not black",
    "a man": "not a man",
    "chubby": "lose weight|not chubby",
    "five o'clock shadow": "no five o'clock shadow|no five o\u2019clock shadow",
    "lipstick": "wipe off the lipstick|lipstick removed|delete the lipstick|erase her lipstick|NO lipstick",
}
AFFIRMED = "a beard|thin lips|blond hair and a big smile|knot in the hair|a notable nose|harmless|priceless smile"
AFFIRMED += "|unshaven|a man"
AFFIRMED += "|lessons|nobody|a lesser smile|a young woman with curly hair, wearing lipstick|  blond hair  |notes"


@pytest.mark.parametrize("attribute, prompt", [(a, p) for a, each in REVERSED.items() for p in each.split("|")])
def test_a_denial_is_the_attribute_reversed(attribute, prompt):
    assert statements(prompt) == (Statement(attribute, denied=True),)


@pytest.mark.parametrize("prompt", AFFIRMED.split("|"))
def test_a_prompt_without_a_denial_is_left_as_it_is(prompt):
    assert statements(prompt) == (Statement(prompt),) and single(prompt).prompt == prompt


@pytest.mark.parametrize(
    "prompt, attribute",
    [
        ("don't remove the beard", "a beard"),
        ("not without a beard", "a beard"),
        ("no hair", "bald"),
        ("hairless", "bald"),
        ("shave his head", "bald"),
        ("lose the hair", "bald"),
    ],
)
def test_two_denials_cancel_and_some_are_an_attribute_of_their_own(prompt, attribute):
    assert statements(prompt) == (Statement(attribute),)


@pytest.mark.parametrize(
    "prompt, expected",
    [
        ("no beard or mustache", ["no beard", "no mustache"]),
        ("neither a beard nor glasses", ["no beard", "no glasses"]),
        ("no hat, glasses or beard", ["no hat", "no glasses", "no beard"]),
        ("remove the glasses and the beard", ["no glasses", "no beard"]),
        ("remove beard, mustache and glasses", ["no beard", "no mustache", "no glasses"]),
        ("remove the glasses, add a beard", ["no glasses", "a beard"]),
        ("no beard and blond hair", ["no beard", "blond hair"]),
        ("blond hair without bangs", ["blond hair", "no bangs"]),
        ("she is not smiling but has bangs", ["no smiling", "bangs"]),
        ("a young woman without glasses", ["a young woman", "no glasses"]),
    ],
)
def test_a_prompt_of_several_statements_becomes_several_prompts(prompt, expected):
    assert split_denials([prompt, "old"]) == [*expected, "old"]
    assert [statements(each)[0].denied for each in expected] == [text.startswith("no ") for text in expected]
    with pytest.raises(ValueError, match="says several things, one of them a denial; make one edit of each"):
        single(prompt)


@pytest.mark.parametrize("prompt", ["no", "remove the", "without", "get rid of", "not"])
def test_a_denial_of_nothing_is_refused(prompt):
    with pytest.raises(ValueError, match="but not what; for example 'no beard'"):
        statements(prompt)


def test_statements_read_as_a_person_would_write_them():
    assert str(Statement("a beard", True)) == "a beard, reversed" and str(Statement("a beard")) == "a beard"
    assert Statement("a beard", True).prompt == "no beard"
    assert statements(Statement("makeup", True).prompt) == (Statement("makeup", True),)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1.5 cm beard, blond hair", ["1.5 cm beard", "blond hair"]),
        ("blond hair\uff0ca smile\u3001old", ["blond hair", "smile", "old"]),
        ("She has blond hair and a smile. Old.", ["blond hair", "smile", "Old"]),
        ("a woman with blond hair, no glasses and a smile", ["blond hair", "no glasses", "smile"]),
        ("remove the glasses, beard and hat", ["no glasses", "no beard", "no hat"]),
    ],
)
def test_a_long_description_is_split_with_its_denials(text, expected):
    assert split_description(text) == expected
