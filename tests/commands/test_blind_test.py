"""scripts/blind_test.py on the toy profile with a stand-in judge, and its errors in one sentence."""

import json
import sys

import pytest
import toy_cases as toy
from metric_cases import Judge

from where2edit.commands import blind_test, cli


class DecidedJudge(Judge):
    """Every face smiles or does not; nobody is bald."""

    names = ("Smiling", "Wearing_Lipstick", "Bald")

    @classmethod
    def load(cls):
        return cls()

    def forward(self, images):
        logits = 40 * super().forward(images)
        logits[:, 2] = -9
        return logits


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(blind_test, "Judge", DecidedJudge)
    weights = toy.lively_editor(tmp_path / "editor.safetensors")

    def call(*arguments):
        options = ["--config", str(toy.ROOT / "configs/toy.yaml"), "--weights", str(weights), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["blind_test.py", *options, "--out", str(tmp_path / "out"), *arguments])
        with pytest.raises(SystemExit) as end:
            cli.run_command(blind_test.main, "asks people")
        answer = capsys.readouterr()
        return end.value.code, answer.out, answer.err

    return call


def test_a_test_is_written_and_what_is_missing_is_said(run, tmp_path):
    code, said, _ = run("--prompt", "a big smile", "--prompt", "bald", "--pairs", "2", "--faces", "24", "--size", "32")
    assert code == 0 and "fewer than 2 pairs, since too few faces have it by nature: bald 0" in said
    answers = json.loads((tmp_path / "out" / "answers.json").read_text())
    assert [answer["prompt"] for answer in answers] == ["a big smile"] * 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "pairs-01.png", "answers.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "0"], "--pairs is 0; allowed: 1 to 1,024"),
        (["--prompt", "a big smil"], "did you mean 'a big smile'"),
        (["--prompt", "bald", "--faces", "2"], "none of 2 generated faces has by nature what a prompt asks for"),
    ],
)
def test_errors(run, arguments, message):
    code, _, error = run(*arguments)
    assert code == 2 and message in error and "Traceback" not in error
