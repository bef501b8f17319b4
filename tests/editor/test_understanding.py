"""Whether a prompt is understood: read by MiniLM beside the phrases that facetext was trained with."""

import pytest
import torch
from torch import nn

from where2edit.editor.understanding import UNDERSTOOD, Vocabulary, words_of
from where2edit.evaluation.spoken_prompts import KNOWN, UNKNOWN
from where2edit.text_image.facetext import TEXT_LAYERS
from where2edit.text_image.minilm import WIDTH, MiniLM


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary(MiniLM.load(TEXT_LAYERS))


def test_nine_of_ten_prompts_are_told_right_on_both_sides(vocabulary):
    assert len(set(KNOWN)) == 120 and len(set(UNKNOWN)) == 60
    assert sum(vocabulary.read(prompt).understood for prompt in KNOWN) >= 0.9 * 120
    assert sum(not vocabulary.read(prompt).understood for prompt in UNKNOWN) >= 0.9 * 60


def test_a_phrase_of_the_training_needs_no_embedding(vocabulary, monkeypatch):
    monkeypatch.setattr(Vocabulary, "embed", None)
    reading = vocabulary.read("  Blond   hair ")
    assert (reading.score, reading.unknown, reading.nearest) == (1.0, (), "blond hair")


def test_a_refusal_names_the_words_and_the_nearest_phrase(vocabulary):
    with pytest.raises(
        ValueError, match="'asdf' is not understood.*does not know 'asdf'; the nearest.*--force"
    ) as found:
        vocabulary.check("asdf")
    assert len(str(found.value)) <= 300
    with pytest.raises(ValueError) as found:
        vocabulary.check("qwertzuiop " * 50)
    assert len(str(found.value)) <= 300
    vocabulary.check("spectacles")


class SmallWords(nn.Module):
    """In MiniLM's place: a text's letters as its features; `read` keeps what it has read."""

    def __init__(self):
        super().__init__()
        self.words, self.read = nn.Embedding(2, WIDTH), []

    def forward(self, prompts):
        self.read += prompts
        return torch.stack([torch.bincount(torch.tensor(list(p.encode())), minlength=WIDTH).float() for p in prompts])


def test_embeddings_of_the_phrases_come_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path))
    words = SmallWords()
    score = Vocabulary(words).read("a blond beard").score
    assert "a mustache" in words.read
    words.read.clear()
    assert Vocabulary(words).read("a blond beard").score == score
    assert words.read == ["a blond beard", "a blond beard"], "the whole, and its only part"
    file = next((tmp_path / "phrases").iterdir())
    file.write_bytes(file.read_bytes()[:-9])
    assert Vocabulary(words).read("a blond beard").score == score and "a mustache" in words.read


def test_words_of_a_text_leave_out_what_says_nothing_of_a_face():
    assert words_of("Make her hair blond, please: 100% five o'clock!") == ["hair", "blond", "five", "o'clock"]
    assert words_of("\U0001f600 12 !!") == [] and 0.5 < UNDERSTOOD < 0.7
