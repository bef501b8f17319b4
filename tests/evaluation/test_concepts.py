"""What a prompt asks of the judge, by hand."""

import pytest
import torch

from where2edit.evaluation.concepts import Asked

NAMES = ("Big_Nose", "Young", "Smiling")


def test_presence_and_absence_by_hand():
    logits = torch.tensor([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]])
    assert Asked.of("Young", NAMES).log_odds(logits).tolist() == [2, -2]
    assert Asked.of("-Young", NAMES).log_odds(logits).tolist() == [-2, 2]
    assert Asked.of("-Smiling", NAMES).log_odds(logits[0]) == -3


@pytest.mark.parametrize("concept", ["Big_Nose", "-Big_Nose", "Smiling", "-Smiling"])
def test_one_number_says_it_all(concept):
    asked = Asked.of(concept, NAMES)
    assert asked.number != 0 and Asked.from_number(float(asked.number)) == asked


def test_an_unknown_concept_is_named():
    with pytest.raises(ValueError, match="knows no concept 'Yung'; did you mean 'Young'"):
        Asked.of("-Yung", NAMES)
