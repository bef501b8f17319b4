"""The command of all benchmarks: what it writes where, what stays when it is broken off, and what it refuses."""

import json
import subprocess
import sys

import pytest
import torch
from hostile_cases import call, refused
from PIL import Image
from toy_cases import ROOT

from where2edit.commands import benchmark
from where2edit.commands.benchmark import SECTIONS
from where2edit.commands.benchmarks.growth import Growth
from where2edit.commands.benchmarks.sections import left_out, write_section
from where2edit.commands.benchmarks.timing import Times

HEADING = "## Whole edits"


@pytest.fixture
def measuring(monkeypatch):
    """Sections that measure nothing; the runs and the tasks that they were given."""
    given = []

    def section(name):
        def measure(run, asked):
            given.append((name, run, asked))
            run.keep(row=name)
            run.growths.append(Growth("T", "x", "base", points={1: {"base": Times((1.0,))}}))
            return f"figures of {name}"

        return measure

    monkeypatch.setattr(benchmark, "SECTIONS", {name: (title, section(name)) for name, (title, _) in SECTIONS.items()})
    return given


def test_every_section_is_written_with_its_lines_and_its_picture(measuring, monkeypatch, capsys, tmp_path):
    out = tmp_path / "b.md"
    code, said, _ = call(monkeypatch, capsys, "benchmark", "all", "--device", "cpu", "--out", out)
    assert code == 0 and [name for name, *_ in measuring] == list(SECTIONS) == ["edit", "train", "cluster", "ops"]
    text, lines = out.read_text(), [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    for name, (title, _) in SECTIONS.items():
        assert f"## {title}\n\nMade by `python scripts/benchmark.py {name}`. CPU " in text
        assert f"figures of {name}" in text and f"](b-{name}.png)" in text and f"figures of {name}" in said
        assert [line.get("row") for line in lines if line["section"] == title] == [None, name]
        with Image.open(tmp_path / f"b-{name}.png") as picture:
            picture.verify()
    assert all("torch" in line["machine"] for line in lines if "machine" in line)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["b.md", "b.jsonl", *(f"b-{name}.png" for name in SECTIONS)]
    )


def test_options_reach_the_measurement(measuring, monkeypatch, capsys, tmp_path):
    how = ["--rounds", "3", "--budget", "7.5", "--resolution", "256", "--threads", "2", "--config", "configs/toy.yaml"]
    where = ["--device", "cpu", "--out", tmp_path / "b.md", "regions.k=5"]
    assert call(monkeypatch, capsys, "benchmark", "cluster", *how, *where)[0] == 0
    ((_, run, asked),) = measuring
    assert (run.rounds, run.budget, run.quick, str(run.device)) == (3, 7.5, False, "cpu")
    assert (asked.resolution, asked.threads, asked.overrides, asked.also) == (256, 2, ["regions.k=5"], ())
    assert (
        call(monkeypatch, capsys, "benchmark", "edit", "--quick", "--device", "cpu", "--out", tmp_path / "b.md")[0] == 0
    )
    _, run, asked = measuring[-1]
    assert (run.rounds, run.quick, asked.resolution, asked.config) == (1, True, 128, "configs/toy.yaml")


def test_on_a_gpu_the_paper_s_training_step_is_measured_too():
    options = benchmark.build_parser("").parse_args(["train"])
    assert benchmark.what_is_asked(options, torch.device("cuda:0")).also == ("configs/ffhq.yaml",)
    assert benchmark.what_is_asked(options, torch.device("cpu")).also == ()


def test_a_run_that_is_broken_off_keeps_what_was_measured(measuring, monkeypatch, capsys, tmp_path):
    out = tmp_path / "b.md"
    arguments = ["benchmark", "edit", "--device", "cpu", "--out", out]
    assert call(monkeypatch, capsys, *arguments)[0] == 0
    before = out.read_bytes()

    def broken_off(run, asked):
        run.keep(row="half")
        raise KeyboardInterrupt

    monkeypatch.setitem(benchmark.SECTIONS, "edit", ("Whole edits", broken_off))
    code, _, said = call(monkeypatch, capsys, *arguments)
    rows = [json.loads(line).get("row") for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert code == 130 and said.startswith("interrupted") and out.read_bytes() == before
    assert rows == [None, "edit", None, "half"]


def unavailable():
    raise ValueError("its weights cannot be fetched")


def test_what_cannot_be_had_is_left_out_with_a_sentence_unless_nothing_is_left():
    texts, missing = benchmark.possible({"a": unavailable, "b": lambda: "figures", "c": unavailable})
    assert texts == ["figures"] and missing == [
        "Not measured, a: its weights cannot be fetched.",
        "Not measured, c: its weights cannot be fetched.",
    ]
    with pytest.raises(ValueError, match="^its weights cannot be fetched$"):
        benchmark.possible({"a": unavailable, "b": unavailable})


def test_a_sentence_on_what_is_missing_names_no_folder_of_the_machine():
    error = ValueError("not here: vgg.ckpt; copy it to /mnt/me/weights, or set WHERE2EDIT_WEIGHTS")
    assert left_out("Without the loss perceptual", error) == "Without the loss perceptual: not here: vgg.ckpt."
    error = OSError(2, "No such file or directory", "/mnt/me/cache/a.bin")
    assert left_out("No row", error) == "No row: [Errno 2] No such file or directory: '/mnt/me/cache/a.bin'.".replace(
        "/mnt/me/cache/", ""
    )
    assert left_out("No row", ValueError("32/16 of docs/benchmarks.md")) == "No row: 32/16 of docs/benchmarks.md."


def test_a_section_that_cannot_be_measured_ends_no_other(measuring, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(benchmark.SECTIONS, "edit", ("Whole edits", lambda run, asked: unavailable()))
    out = tmp_path / "b.md"
    code, said, error = call(monkeypatch, capsys, "benchmark", "all", "--device", "cpu", "--out", out)
    assert code == 2 and error == "error: Not measured, edit: its weights cannot be fetched.\n"
    assert "figures of ops" in out.read_text() and HEADING not in out.read_text()


def test_the_section_replaces_its_earlier_version_and_nothing_else(tmp_path):
    path = tmp_path / "docs" / "benchmarks.md"
    write_section(path, HEADING, f"{HEADING}\n\nold")
    path.write_text(path.read_text() + f"\n{HEADING}, on a GPU\n\nkept\n\n## Other\n\nkept\n")
    write_section(path, HEADING, f"{HEADING}\n\nnew")
    kept = f"\n{HEADING}, on a GPU\n\nkept\n\n## Other\n\nkept\n"
    assert path.read_text() == f"# Benchmarks\n\n{HEADING}\n\nnew\n{kept}"
    write_section(path, f"{HEADING}, on a GPU", f"{HEADING}, on a GPU\n\nnew")
    assert path.read_text().startswith(f"# Benchmarks\n\n{HEADING}\n\nnew\n\n{HEADING}, on a GPU\n\nnew\n\n## Other")


def test_the_section_of_a_gpu_comes_before_that_of_a_cpu(tmp_path):
    path = tmp_path / "benchmarks.md"
    path.write_text(f"# Benchmarks\n\n{HEADING}, on a GPU\n\nkept\n")
    write_section(path, HEADING, f"{HEADING}\n\nnew")
    assert path.read_text() == f"# Benchmarks\n\n{HEADING}, on a GPU\n\nkept\n\n{HEADING}\n\nnew\n"


REFUSED = {
    (): "the following arguments are required: what",
    ("speed",): "what: invalid choice: 'speed'",
    ("edit", "--resolution", "64"): "--resolution is 64; edits are blended at 64 px, so give 128 or more",
    ("edit", "--budget", "0"): "--budget is 0.0; allowed: above 0, up to 86,400",
    ("edit", "--budget", "nan"): "--budget is nan",
    ("edit", "--rounds", "0"): "--rounds is 0",
    ("cluster", "--config", "none.yaml"): "no config file at ",
    ("train", "training.no_such=1"): "unknown key 'training.no_such'",
    ("ops", "--out", "b.txt"): "give a name that ends in .md",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(
    arguments, measuring, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert REFUSED[arguments] in refused(monkeypatch, capsys, "benchmark", *arguments)
    assert not measuring and not list(tmp_path.iterdir())


def test_the_script_refuses_in_one_sentence():
    script = ROOT / "scripts" / "benchmark.py"
    command = [sys.executable, script, "ops", "--resolution", "64"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 2 and "give 128 or more" in ran.stderr and "Traceback" not in ran.stderr


@pytest.mark.slow
def test_a_quick_run_measures_edits_from_end_to_end(monkeypatch, capsys, tmp_path):
    out = tmp_path / "b.md"
    code, _, error = call(monkeypatch, capsys, "benchmark", "edit", "--quick", "--device", "cpu", "--out", out)
    assert code == 0, error
    headings = [line for line in out.read_text().splitlines() if line.startswith("##")]
    assert headings == [
        HEADING,
        "### profile toy, 32 px",
        "### Edits by area, profile toy, 32 px",
        "### Edits by batch, profile toy, 32 px",
        "### Variants, profile toy, 32 px",
        "### StyleGAN2 at 32 px, random weights",
        "### Edits by area, StyleGAN2 at 32 px, random weights",
        "### Edits by batch, StyleGAN2 at 32 px, random weights",
        "### Variants, StyleGAN2 at 32 px, random weights",
        "### Evaluation by n, profile toy",
    ]
