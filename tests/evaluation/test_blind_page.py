"""The blind test on disk: what the page shows, that it counts rightly, and that nothing gives the answers away."""

import json
import re
import shutil
import subprocess

import pytest
import torch
from PIL import Image

from where2edit.evaluation.blind_page import write_test
from where2edit.evaluation.blind_pairs import Pair

# A page that only remembers what is written into it: clicks are calls of `choose`.
BROWSER = """
const parts = {};
const document = { getElementById: id => parts[id] = parts[id] || {}, addEventListener: () => {} };
"""
SIDES = ("left", "right", "right", "left", "left", "right", "left")


@pytest.fixture
def written(tmp_path):
    pairs = [
        Pair(f"prompt <{i % 2}>", torch.full((3, 16, 16), -1.0), torch.full((3, 16, 16), i / 10), 500 + i, i, side)
        for i, side in enumerate(SIDES)
    ]
    return write_test(tmp_path, pairs, 64)


def test_files(written, tmp_path):
    names = ["index.html", "pairs-01.png", "pairs-02.png", "answers.json"]
    assert [path.name for path in written] == names and sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert [answer["edited_is"] for answer in answers] == list(SIDES) and answers[1]["pair"] == 2
    assert answers[3] == {"pair": 4, "prompt": "prompt <1>", "edited_is": "left", "natural_seed": 503, "source_seed": 3}
    heights = [Image.open(tmp_path / name).height for name in names[1:3]]
    assert heights[0] > 6 * 64 and heights[1] < 3 * 64


def test_the_page_stands_alone_and_does_not_name_the_answers(written):
    page = written[0].read_text()
    shown = json.loads(re.search(r"const pairs = (.*);", page).group(1))
    assert [set(pair) for pair in shown] == [{"prompt", "left", "right"}] * 7
    assert all(pair[side].startswith("data:image/jpeg;base64,") for pair in shown for side in ("left", "right"))
    assert "prompt <0>" not in page and 'src="http' not in page
    # Only pictures differ between the two sides, in which the edited one is the brighter.
    assert len({pair["left"] for pair in shown} & {pair["right"] for pair in shown}) == 1


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the page's script in node")
def test_the_page_counts(written):
    script = re.search(r"<script>(.*)</script>", written[0].read_text(), re.DOTALL).group(1)
    clicks = "".join(f"choose('{side}');" for side in ("left",) * len(SIDES))
    run = f"{BROWSER}{script}{clicks}console.log(parts.pair.innerHTML)"
    table = subprocess.run(["node", "-e", run], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"<tr><td>(.*?)<td>(\d+)<td>(\d+)<td>(\d+) % to (\d+) %", table)
    found = {name: tuple(map(int, rest)) for name, *rest in rows}
    assert (
        found["all prompts"][:2] == (4, 3) and found["prompt <0>"][:2] == (3, 1) and found["prompt <1>"][:2] == (1, 2)
    )
    from scipy.stats import binomtest

    exact = binomtest(4, 7).proportion_ci(method="wilson")
    assert found["all prompts"][2:] == (round(100 * exact.low), round(100 * exact.high))
