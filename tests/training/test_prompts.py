"""The released sampling of training prompts from a caption corpus."""

import re

import pytest
import torch
import toy_cases as toy

from where2edit.editing.conditions import Conditions
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.toy import ToyOptions
from where2edit.training.prompts import PromptSampler, read_phrases, sample_prompt, split_caption


def corpus(folder, *files):
    folder.mkdir(exist_ok=True)
    for i, text in enumerate(files):
        (folder / f"{i}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "caption, phrases",
    [
        ("She has blond hair, big lips, and a smile.", ["She has blond hair", "big lips", "a smile"]),
        ("no full stop", ["no full stop"]),
        ("a. b, c", ["a", "b", "c"]),
        (" and   a beard ,, . ", ["a beard"]),
        ("andalusian, and andalusian", ["andalusian", "andalusian"]),
        ("hair and beard", ["hair and beard"]),
        ("  ", []),
    ],
)
def test_captions_are_split_at_commas_and_periods_and_lose_a_leading_and(caption, phrases):
    assert split_caption(caption) == phrases


def released_split(caption: str) -> list[str]:
    """What the released sampler makes of a caption, faults included (see the head of training/prompts.py)."""
    pieces = re.split(r"[,.]", caption)[:-1]
    return [piece[5:] if piece.startswith(" and") else piece.lstrip() for piece in pieces]


@pytest.mark.parametrize(
    "caption",
    ["She has blond hair, big lips, and a smile.", "He is bald. He has a goatee, and bushy eyebrows.", "a, b, c."],
)
def test_ordinary_captions_are_split_as_the_released_sampler_splits_them(caption):
    assert split_caption(caption) == released_split(caption)


@pytest.mark.parametrize(
    "caption, released, ours",
    [
        ("a hat, andalusian hair.", ["a hat", "lusian hair"], ["a hat", "andalusian hair"]),
        ("a hat, a smile", ["a hat"], ["a hat", "a smile"]),
        ("no full stop", [], ["no full stop"]),
        ("a hat,, a smile.", ["a hat", "", "a smile"], ["a hat", "a smile"]),
    ],
)
def test_three_faults_of_the_released_sampler_are_left_out(caption, released, ours):
    assert released_split(caption) == released and split_caption(caption) == ours


def test_a_long_prompt_does_not_stop_a_training_and_is_refused_in_editing():
    encoder = TEXT_IMAGE.get("toy")(None, ToyOptions())
    encoder.max_tokens, encoder.tokens = 3, lambda prompt: len(prompt.split())
    phrases = ["a beard as long as an arm", "eyeglasses"]
    sampler = PromptSampler(phrases, Conditions(encoder, truncate=True))
    with pytest.warns(UserWarning, match="a prompt has .* tokens, toy reads at most 3; longer prompts are cut"):
        for seed in range(5):
            prompts = sampler.draw(1, 2, torch.Generator().manual_seed(seed))[0]
            sampler.conditions.of(prompts, 0.1, per_source=2)
    with pytest.raises(ValueError, match="a prompt has 7 tokens, toy reads at most 3; shorten it: a beard as long"):
        Conditions(encoder).embed(phrases)


def test_two_captions_are_taken_from_each_file(tmp_path):
    files = ["\n".join(f"file{i}line{j}" for j in range(10)) for i in range(200)]
    phrases = read_phrases(corpus(tmp_path, *files), seed=3)
    assert len(phrases) == 400
    lines = {int(phrase.split("line")[1]) for phrase in phrases}
    assert lines == set(range(10)), "some lines are never drawn"
    of_file = {i: [p for p in phrases if p.startswith(f"file{i}line")] for i in range(200)}
    assert all(len(found) == 2 for found in of_file.values())
    repeated = sum(a == b for a, b in of_file.values())
    assert 5 <= repeated <= 40, "with replacement a tenth of the pairs are one line twice"


def test_the_seed_decides_and_the_order_of_the_folder_does_not(tmp_path):
    text = "\n".join("abcdefghij")
    folder = corpus(tmp_path, *[text] * 8)
    assert read_phrases(folder, 1) == read_phrases(folder, 1) != read_phrases(folder, 2)


def test_blank_lines_and_empty_files_are_passed_over(tmp_path):
    assert set(read_phrases(corpus(tmp_path, "\n\n  \na smile\n", "", "\n"))) == {"a smile"}


def test_files_in_folders_below_are_read_too(tmp_path):
    corpus(tmp_path / "train", "a smile")
    assert read_phrases(tmp_path) == ["a smile", "a smile"]


def test_a_corpus_without_text_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match="no caption files"):
            read_phrases(folder)
    with pytest.raises(ValueError, match="the 2 caption files in .* hold no text"):
        read_phrases(corpus(tmp_path, "", " \n . , \n"))


def test_a_corpus_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "0.txt").write_bytes(b"\xff\xfe\x80blond")
    with pytest.raises(ValueError, match="0.txt is not UTF-8 text"):
        read_phrases(tmp_path)


def test_a_prompt_is_one_phrase_five_times_in_six_and_else_two():
    random = torch.Generator().manual_seed(0)
    phrases = [f"p{i}" for i in range(50)]
    drawn = [sample_prompt(phrases, random) for _ in range(4000)]
    double = [prompt.split(" and ") for prompt in drawn if " and " in prompt]
    assert all(len(pair) == 2 and set(pair) <= set(phrases) for pair in double)
    # 4000 draws with p = 0.159: mean 636, standard deviation 23; five of them on each side.
    assert abs(len(double) - 636) < 5 * 23.1
    assert {prompt for prompt in drawn if " and " not in prompt} == set(phrases)
    assert {pair[0] for pair in double} == {pair[1] for pair in double} == set(phrases)


def test_the_prompts_of_one_image_are_about_different_things():
    conditions, random = toy.conditions(), torch.Generator().manual_seed(0)
    phrases = ["blond hair", "blond hair", "blond hair", "a beard", "eyeglasses", "red lips"]
    for drawn in PromptSampler(phrases, conditions, 0.6).draw(6, 3, random):
        h = torch.nn.functional.normalize(conditions.embed(drawn), dim=1)
        assert (h @ h.T).triu(1).max() < 0.6
    with_one = PromptSampler(["blond hair"], conditions, 0.6).draw(1, 2, random)[0]
    assert len(with_one) == 2, "a corpus of one phrase still gives as many prompts as were asked for"


def test_embeddings_have_the_length_that_the_mapper_expects():
    conditions = toy.conditions()
    h = conditions.embed(["blond hair", "a beard", "blond hair"])
    assert torch.allclose(h.norm(dim=1), torch.tensor(toy.encoder().dim ** 0.5)) and torch.equal(h[0], h[2])
    condition = conditions.of(["purple"], 0.1, where=["hair"])
    assert torch.equal(condition.h, conditions.embed(["purple"]))
    assert torch.equal(condition.h_attention, conditions.embed(["hair"]))
    assert torch.equal(Conditions(toy.encoder(), raw=True).embed(["hair"]), toy.encoder().text(["hair"]))


@pytest.mark.parametrize("prompt", ["", "   ", "\n"])
def test_an_empty_prompt_is_refused(prompt):
    with pytest.raises(ValueError, match="an empty prompt says nothing"):
        toy.conditions().embed(["a beard", prompt])
