"""Pairs of a blind test on the toy profile: who is natural, who is edited, and that no face appears twice."""

import pytest
import torch
import toy_cases as toy
from metric_cases import Judge

from where2edit.backbones.preprocess import resize
from where2edit.editor.editor import Editor
from where2edit.editor.steps import Step
from where2edit.evaluation import protocols
from where2edit.evaluation.blind_pairs import BlindPlan, chosen_prompts, make_pairs
from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.protocols import Prompt

PROMPTS = [Prompt("a big smile", (), "Smiling"), Prompt("a small nose", (), "-Big_Nose")]
PLAN = BlindPlan(each=2, faces=44, seed=7, size=16)


class DecidedJudge(Judge):
    def forward(self, images):
        return 40 * super().forward(images)


class UndecidedJudge(Judge):
    def forward(self, images):
        return 0 * super().forward(images)


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    weights = toy.lively_editor(tmp_path_factory.mktemp("editor") / "editor.safetensors")
    return Editor.load(toy.ROOT / "configs/toy.yaml", device="cpu", weights=str(weights))


@pytest.fixture(scope="module")
def pairs(editor):
    return make_pairs(editor, DecidedJudge(), PROMPTS, PLAN)


def test_natural_faces_have_it_and_sources_lacked_it(editor, pairs):
    judge = DecidedJudge()
    assert sorted(pair.prompt for pair in pairs) == ["a big smile"] * 2 + ["a small nose"] * 2
    for pair in pairs:
        asked = Asked.of(next(p.concept for p in PROMPTS if p.text == pair.prompt), judge.names)
        natural, source = editor.source(pair.natural_seed), editor.source(pair.source_seed)
        assert asked.log_odds(judge(natural.image))[0].sigmoid() > 0.8
        assert asked.log_odds(judge(source.image))[0].sigmoid() < 0.5
        assert torch.equal(pair.natural, resize(natural.image, 16).clamp(-1, 1)[0])
        assert torch.equal(pair.edited, resize(editor.edit(source, Step(pair.prompt)).image, 16).clamp(-1, 1)[0])
        assert pair.sides[("left", "right").index(pair.edited_is)] is pair.edited


def test_no_face_appears_twice_and_another_seed_gives_others(editor, pairs):
    seeds = [seed for pair in pairs for seed in (pair.natural_seed, pair.source_seed)]
    assert len(set(seeds)) == 8
    others = make_pairs(editor, DecidedJudge(), PROMPTS, BlindPlan(each=1, faces=44, seed=70, size=16))
    assert not {pair.natural_seed for pair in others} & set(seeds) and len(others) == 2


def test_the_same_seed_gives_the_same_test(editor, pairs):
    again = make_pairs(editor, DecidedJudge(), PROMPTS, PLAN)
    assert [(p.prompt, p.edited_is, p.source_seed) for p in again] == [
        (p.prompt, p.edited_is, p.source_seed) for p in pairs
    ]


def test_where_nobody_has_it_there_is_no_test(editor):
    with pytest.raises(ValueError, match="none of 3 generated faces has by nature"):
        make_pairs(editor, UndecidedJudge(), PROMPTS, BlindPlan(faces=3))


def test_prompts_and_numbers_are_checked():
    known = protocols.load("editor").prompts
    assert len(chosen_prompts(known, [])) == 29 and chosen_prompts(known, ["bald", "bald"])[0].concept == "Bald"
    assert len(chosen_prompts(known, ["bald", "bald"])) == 1
    with pytest.raises(ValueError, match="no attribute is known for the prompt 'eyeglases'; did you mean 'eyeglasses'"):
        chosen_prompts(known, ["eyeglases"])
    with pytest.raises(ValueError, match="blind_test.each is 0; allowed: 1 to"):
        BlindPlan(each=0)
    with pytest.raises(ValueError, match="seed is -1; allowed: 0 to"):
        BlindPlan(seed=-1)
