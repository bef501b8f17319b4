"""Options of commands that make no sense: one sentence and exit code 2, before anything is loaded or written."""

import os
import subprocess
import sys
import time
import types

import pytest
import torch
import toy_cases as toy
from hostile_cases import call, command, one_sentence, refused
from survival_cases import free_port

from where2edit.core import devices, distributed
from where2edit.core.bounds import MOST_SEED
from where2edit.editor import build

TOY = str(toy.ROOT / "configs/toy.yaml")
# What each command needs beside the option under test.
NEEDS = {
    "application_sheets": [],
    "benchmark": ["ops"],
    "blind_test": [],
    "calibrate": [],
    "cluster": [],
    "contact_sheet": [],
    "edit": ["--prompt", "a beard"],
    "evaluate": ["--table", "masks"],
    "invert": ["--photo", "photo.png"],
    "make_faces": ["--seeds", "0", "--out", "faces.safetensors"],
    "report_words": ["--out", "words.md"],
    "sample": [],
    "train": [],
    "train_encoder": ["--data", "photos", "--attributes", "table.csv"],
    "train_facetext": ["--data", "photos", "--attributes", "table.csv"],
    "train_judge": ["--data", "photos", "--attributes", "table.csv"],
    "train_preview": [],
}
WITH_CONFIG = (
    "application_sheets",
    "blind_test",
    "calibrate",
    "cluster",
    "contact_sheet",
    "edit",
    "evaluate",
    "invert",
    "report_words",
    "sample",
)
WITH_CONFIG += ("train", "train_preview")


@pytest.fixture(autouse=True)
def nothing_begins(monkeypatch, tmp_path):
    """A folder of its own, and a failure as soon as a network is built or loaded."""

    def began(*arguments, **options):
        raise AssertionError(f"work began: {arguments[1:]}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "build_section", began)
    for owner in ("FaceParser", "MobileStyleGAN"):
        monkeypatch.setattr(command("make_faces"), owner, types.SimpleNamespace(load=began))
    monkeypatch.setattr(command("benchmark"), "write_benchmark", began)


def arguments(name, *options):
    return [*NEEDS.get(name, []), *(["--config", TOY] if name in WITH_CONFIG else []), *options]


NO_DEVICES = ["cuda", "cuda:99", "mps", "meta", "gpu", "foo", "", "cuda:-1", "CPU", "cpu:7", "xla", "cuda:1e9", "auto "]


@pytest.mark.parametrize("device", NO_DEVICES)
@pytest.mark.parametrize("name", NEEDS)
def test_a_device_that_is_not_there_is_refused_before_anything_loads(name, device, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    error = refused(monkeypatch, capsys, name, *arguments(name, "--device", device))
    assert "no device is called" in error or "needs a GPU, and 0 are visible; give auto or cpu" in error
    assert not list(tmp_path.iterdir())


def test_auto_is_the_default_of_every_command(monkeypatch, capsys):
    for name in NEEDS:
        monkeypatch.setattr(sys, "argv", [name, "--help"])
        with pytest.raises(SystemExit):
            command(name).main("A heading.")
        assert "(default: auto)" in " ".join(capsys.readouterr().out.split()), name
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.resolve_device() == devices.resolve_device("auto") == devices.resolve_device("cpu") == "cpu"


@pytest.mark.parametrize("local", ["x", "-1", "", "1e3", "99999"])
def test_a_local_rank_that_is_none_is_one_sentence(local, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", local)
    with pytest.raises(ValueError, match="the environment variable LOCAL_RANK is") as error:
        devices.resolve_device("cpu")
    one_sentence(str(error.value))


HUGE = "9" * 5000
NUMBERS = {  # command, options -> what the sentence says
    ("sample", "--columns", "0"): "--columns is 0; allowed: 1 to 1,024",
    ("sample", "--columns", "-3"): "--columns is -3",
    ("sample", "--columns", "1.5"): "--columns is '1.5'; give a whole number, 1 to 1,024",
    ("sample", "--columns", HUGE): "--columns is '9999",
    ("sample", "--cell", "0"): "--cell is 0; allowed: 16 to 2,048",
    ("sample", "--cell", "1000000"): "--cell is 1000000",
    ("sample", "--truncation", "9"): "--truncation is 9.0; allowed: -2 to 2",
    ("sample", "--truncation", "nan"): "--truncation is nan",
    ("sample", "--truncation", "inf"): "--truncation is inf",
    ("sample", "--truncation", "much"): "--truncation is 'much'; give a number",
    ("sample", "--seeds", "0-99999999999"): "seeds '0-99999999999' are too large; allowed: 0 to 4,294,967,295",
    ("sample", "--seeds", "0-4000000000"): "are 4,000,000,001 faces; give at most 100,000 at a time",
    ("sample", "--seeds", ",".join(["0-9999"] * 20)): "are 200,000 faces",
    ("sample", "--seeds", HUGE): "are too large",
    ("sample", "--seeds", "-5"): "seeds '-5' are not understood",
    ("sample", "--seeds", ""): "seeds '' are not understood",
    ("sample", "--seeds", "5-3"): "run backwards; write 3-5",
    (
        "sample",
        "--seeds",
        "0-20000",
        "--cell",
        "2048",
    ): "a sheet of 5,001 rows and 4 columns of 2048 pixels is too",
    ("contact_sheet", "--cell", "0"): "--cell is 0",
    ("contact_sheet", "--seeds", "0-5000"): "is too large",
    ("application_sheets", "--references", "0-2000"): "is too large",
    ("application_sheets", "--references", "a"): "seeds 'a' are not understood",
    ("edit", "--seed", "-1"): "--seed is -1; allowed: 0 to 4,294,967,295",
    ("edit", "--seed", "4294967296"): "--seed is 4294967296",
    ("edit", "--seed", HUGE): "--seed is '9999",
    ("edit", "--seed", "1.5"): "--seed is '1.5'; give a whole number",
    ("edit", "--seed", "0x10"): "--seed is '0x10'",
    ("edit", "--seeds", "0-99999999999"): "are too large",
    ("edit", "--threshold", "nan"): "--threshold is nan; allowed: 0 to 1",
    ("edit", "--threshold", "-0.1"): "--threshold is -0.1",
    ("edit", "--coverage", "1e400"): "--coverage is inf",
    ("edit", "--coverage", "-inf"): "expected one argument",
    ("edit", "--strength", "5"): "--strength is 5.0; allowed: -1 to 1 or auto",
    ("edit", "--strength", "nan"): "--strength is nan; allowed: -1 to 1 or auto",
    ("edit", "--strength", "strong"): "--strength is 'strong'; give a number, -1 to 1 or auto",
    ("edit", "--strength", HUGE): "--strength is inf",
    ("edit", *["--more"] * 9): "--more is given 9 times; allowed: up to 4",
    ("edit", "--more", "--less"): "--more and --less exclude each other",
    ("edit", "--where", "x" * 3000): "a prompt has 3000 characters, at most 600 are read",
    ("edit", "--where", "antidisestablishmentarianism " * 61): "a prompt has 61 words, at most 60 are read",
    ("edit", "--prompt", "微笑" * 2500): "a prompt has 5000 characters, at most 600 are read",
    ("edit", "--prompt", "take the hat " * 2000): "a description has 26,000 characters, at most 10,000 are read",
    ("edit", "--prompt", "a \udcff beard"): "holds bytes that are no text; write it in UTF-8",
    ("edit", "--mask-mode", "add"): "--mask-mode: invalid choice: 'add'",
    ("edit", "--promt", "x"): "unrecognized arguments: --promt; --help lists the options",
    ("evaluate", "--n", "0"): "--n is 0; allowed: 1 to 1,000,000",
    ("evaluate", "--n", "-1"): "--n is -1",
    ("evaluate", "--n", "1e6"): "--n is '1e6'; give a whole number",
    ("evaluate", "--seed", "-1"): "--seed is -1; allowed: 0 to",
    ("evaluate", "--seed", HUGE): "--seed is '9999",
    ("evaluate", "--batch", "0"): "--batch is 0; allowed: 1 to 1,024",
    ("evaluate", "--processes", "0"): "--processes is 0",
    ("evaluate", "--processes", "100000"): "--processes is 100000",
    ("evaluate", "--natural-faces", "-1"): "--natural-faces is -1; allowed: 0 to",
    ("evaluate", "--heldout", ""): "--heldout: unknown text-image encoder ''",
    ("evaluate", "--heldout", "clip:a:b:c"): "no encoder is called 'clip:a:b:c'; write NAME",
    ("report_words", "--n", "0"): "--n is 0; allowed: 1 to 1,024",
    ("report_words", "--natural-faces", "1000"): "--natural-faces is 1000; allowed: above 1,000",
    ("report_words", "--natural-faces", "1e9"): "--natural-faces is '1e9'; give a whole number",
    ("evaluate", "--table", "99"): "unknown table '99'",
    ("evaluate", "--row", "theirs"): "has no row 'theirs'",
    ("blind_test", "--pairs", "0"): "--pairs is 0",
    ("blind_test", "--faces", "99999999999"): "--faces is 99999999999",
    ("blind_test", "--size", "1"): "--size is 1; allowed: 8 to 4,096",
    ("blind_test", "--seed", "-1"): "--seed is -1",
    ("cluster", "--k", "0"): "--k is 0; allowed: 1 to 1,000",
    ("cluster", "--k", "10", "99999"): "--k is 99999",
    ("make_faces", "--size", "0"): "--size is 0",
    ("make_faces", "--batch", "0"): "--batch is 0",
    ("make_faces", "--limit", "0"): "--limit is 0",
    ("make_faces", "--parser-size", "100000"): "--parser-size is 100000",
    ("benchmark", "--resolution", "0"): "--resolution is 0",
    ("benchmark", "--resolution", "99999999"): "--resolution is 99999999",
    ("benchmark", "--threads", "0"): "--threads is 0",
    ("benchmark", "--rounds", "99999999"): "--rounds is 99999999",
    ("benchmark", "--budget", "-1"): "--budget is -1.0; allowed: above 0, up to 86,400",
    ("write_captions", "--files", "0"): "--files is 0",
    ("write_captions", "--captions", "99999"): "--captions is 99999",
    ("write_captions", "--seed", "-1"): "--seed is -1",
    ("train", "training.steps=" + HUGE): "is not a YAML value",
    ("train_preview", "preview_fit.steps=0"): "preview_fit.steps is 0",
    ("train_facetext", "schedule.steps=0"): "schedule.steps is 0",
    ("train_facetext", "schedule.warmup=1"): "schedule.warmup is 1; allowed: 0, below 1",
    ("train_judge", "mix.altered=500"): "mix.altered is 500; allowed: 0 to mix.batch, 64",
    ("train_judge", "material.size=1"): "material.size is 1",
    ("train_encoder", "steps=0"): "steps is 0; allowed: 1 to 1,000,000",
    ("train_encoder", "losses.longest=9"): "losses.longest is 9; allowed: 0 to 4",
    ("train_encoder", "photo=3"): "unknown key 'photo'; did you mean 'photos'",
    ("train_encoder", "--profile", "mobil.yaml"): "mobil.yaml",
    ("calibrate", "natural_strength.faces=1"): "natural_strength.faces is 1",
    ("convert", "stylegan9", "a.pt", "b.safetensors"): "unknown format 'stylegan9'; did you mean",
    ("convert",): "give a format, the official file and the safetensors to write",
    ("download", "mobilestylegan-maping-xml", "--offline"): "unknown asset 'mobilestylegan-maping-xml'; did you mean",
    ("download", "x" * 100_000): "unknown asset",
    ("download", "--profile", "mobil"): "no profile 'mobil' in the manifest; did you mean 'mobile'",
}


@pytest.mark.parametrize("case", NUMBERS, ids=lambda case: " ".join(case)[:50])
def test_a_number_or_word_that_makes_no_sense_is_one_sentence(case, monkeypatch, capsys, tmp_path):
    name, *options = case
    error = refused(monkeypatch, capsys, name, *arguments(name, *options))
    assert NUMBERS[case] in error, error
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


PLACES = {  # command, options -> what the sentence says; `taken` is a file, `folder.png` and the like are folders
    ("sample", "--out", "faces.jpg"): "--out is faces.jpg; give a name that ends in .png",
    ("sample", "--out", "faces"): "give a name that ends in .png",
    ("sample", "--out", "folder.png"): "--out is folder.png, which is a folder",
    ("sample", "--out", "taken.png"): "taken.png is there already; give another --out, or --overwrite to replace it",
    ("sample", "--out", "taken.png/faces.png"): "the folder taken.png is not writable",
    ("sample", "--out", "x" * 252 + ".png"): "a name can have 255 characters",
    ("contact_sheet", "--out", "edits.gif"): "give a name that ends in .png or .jpg or .jpeg",
    ("contact_sheet", "--out", "taken.png"): "taken.png is there already",
    ("contact_sheet", "--out", "taken.png/a/b.png"): "is not writable",
    ("cluster", "--sheet", "regions.jpg"): "--sheet is regions.jpg; give a name that ends in .png",
    ("cluster", "--sheet", "taken.png"): "taken.png is there already; give another --sheet",
    ("invert", "--out", "taken.png/out"): "the folder taken.png/out is not writable",
    ("make_faces", "--out", "faces.pt"): "give a name that ends in .safetensors",
    ("make_faces", "--out", "taken.safetensors"): "taken.safetensors is there already",
    ("train_preview", "--out", "preview.pt"): "give a name that ends in .safetensors",
    ("train_preview", "--out", "taken.safetensors"): "taken.safetensors is there already",
    ("calibrate", "--out", "c.json"): "give a name that ends in .safetensors",
    ("calibrate", "--out", "taken.safetensors"): "taken.safetensors is there already",
    ("convert", "clip", "a.pt", "b.pt"): "the target is b.pt; give a name that ends in .safetensors",
    ("convert", "clip", "a.pt", "taken.safetensors"): "taken.safetensors is there already",
    ("edit", "--out", "taken.png"): "the folder taken.png is not writable",
    ("edit", "--out", "taken.png/below"): "the folder taken.png/below is not writable",
    ("evaluate", "--out", "taken.png"): "the folder taken.png is not writable",
    ("train", "--out", "taken.png"): "the folder taken.png is not writable",
    ("train", "--out", "full"): "full/editor.safetensors is there, and no run that made it; choose another",
    ("train_judge", "--out", "taken.png"): "the folder taken.png is not writable",
    ("train_judge", "--out", "full"): "full/judge.safetensors is there, and no run that made it",
    ("train_facetext", "--out", "full"): "full/facetext.safetensors is there, and no run that made it",
    ("train_encoder", "--out", "full"): "full/face_encoder.safetensors is there, and no run that made it",
    ("application_sheets", "--out", "taken.png"): "is not writable",
    ("application_sheets", "--out", "full"): "full/references.jpg is there already",
    ("blind_test", "--out", "full"): "full/index.html is there already",
    ("write_captions", "--out", "full"): "full/0.txt is there already",
    ("benchmark", "--out", "b.txt"): "give a name that ends in .md",
    ("report_judge", "--report", "r.txt"): "--report is r.txt; give a name that ends in .md",
    ("report_facetext", "--report", "taken.png/r.md"): "is not writable (File exists); choose another with --report",
    ("report_words", "--out", "words.txt"): "--out is words.txt; give a name that ends in .md",
    ("report_words", "--out", "taken.png/words.md"): "is not writable",
}


def taken(folder):
    """Files that must still be there afterwards."""
    (folder / "folder.png").mkdir()
    (folder / "full").mkdir()
    names = ["editor.safetensors", "judge.safetensors", "facetext.safetensors", "references.jpg", "index.html", "0.txt"]
    names.append("face_encoder.safetensors")
    files = [folder / "taken.png", folder / "taken.safetensors", *(folder / "full" / name for name in names)]
    for file in files:
        file.write_text("precious")
    return files


@pytest.mark.parametrize("case", PLACES, ids=lambda case: " ".join(case)[:50])
def test_an_output_that_cannot_be_written_is_refused_before_any_work(case, monkeypatch, capsys, tmp_path):
    files = taken(tmp_path)
    name, *options = case
    needs = ["--data", "photos", "--attributes", "table.csv"] if name in ("report_facetext", "report_judge") else []
    error = refused(monkeypatch, capsys, name, *needs, *arguments(name, *options))
    assert PLACES[case] in error, error
    assert all(file.read_text() == "precious" for file in files)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path not in files]
    assert not left, left


@pytest.mark.parametrize("name", ["edit", "sample", "train", "cluster"])
def test_a_config_is_found_beside_the_package_from_any_folder(name, monkeypatch, capsys):
    needs = NEEDS[name]
    error = refused(monkeypatch, capsys, name, *needs, "--config", "configs/toy.yaml", "--device", "cpu", "name=a/b")
    assert "the name of a profile is 'a/b'" in error
    assert "configs/absent.yaml; Known: none" in refused(
        monkeypatch, capsys, name, *needs, "--config", "configs/absent.yaml"
    )


EMPTY = {
    "edit": ("--config", "--weights", "--long", "--replay", "--out"),
    "evaluate": ("--real", "--inception-logits", "--weights", "--out"),
    "train": ("--init", "--out"),
    "train_facetext": ("--data", "--attributes", "--weights", "--config"),
    "cluster": ("--sheet", "--out"),
    "make_faces": ("--data", "--parser-weights"),
    "invert": ("--photo", "--config", "--out"),
    "report_judge": ("--report", "--data"),
}


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, options in EMPTY.items() for option in options])
@pytest.mark.parametrize("text", ["", " "])
def test_an_option_that_says_nothing_is_not_passed_over(name, option, text, monkeypatch, capsys):
    assert f"{option} is empty; give a value" in refused(monkeypatch, capsys, name, *arguments(name, option, text))


REPLAYED = [["--config", TOY], ["--mask-mode", "multiply"], ["--force"], ["--strength", "0"], ["--seed", "0"]]


@pytest.mark.parametrize("given", REPLAYED, ids=lambda given: given[0])
def test_what_a_replay_would_ignore_is_refused(given, monkeypatch, capsys):
    error = refused(monkeypatch, capsys, "edit", "--replay", "recipe.json", *given)
    assert f"leave out {given[0].strip('-').replace('-', '_')}" in error


def test_every_column_of_a_contact_sheet_is_checked_before_the_first_face():
    from where2edit.editor.sheets import contact_sheet

    def condition(step):
        if step.prompt == "asdf":
            raise ValueError("'asdf' is not understood")

    def source(seed):
        raise AssertionError("a face is made")

    editor = types.SimpleNamespace(condition=condition, source=source)
    with pytest.raises(ValueError, match="'asdf' is not understood"):
        contact_sheet(editor, [0], ["blond hair", "asdf"])


REGIONS = ["seed=7", "samples=9", "truncation=0.5", "positions=false", "upsample=3", "n_init=2", "by_parts=true"]


@pytest.mark.parametrize("change", REGIONS)
def test_regions_of_another_recipe_are_not_taken_for_those_that_were_asked_for(change, monkeypatch):
    from where2edit.editing.regions import Regions
    from where2edit.editor.profile import load_profile
    from where2edit.files import assets

    plain = load_profile(TOY)
    path = assets.shipped(plain.regions_file)
    assert Regions.load(path, config=plain.regions).config == plain.regions
    assert Regions.load(path, config=load_profile(TOY, ["regions.impl=reference"]).regions)
    asked = load_profile(TOY, [f"regions.{change}"]).regions
    with pytest.raises(ValueError, match=f"regions.{change.split('=')[0]} is .*, and it was fitted with") as error:
        Regions.load(path, config=asked)
    assert "scripts/cluster.py" in one_sentence(str(error.value))


# Processes


PROCESSES = {
    "WORLD_SIZE": ("0", "-1", "two", "99999", "1.5"),
    "RANK": ("2", "-1", "one", "99999999999"),
}
CASES = [(name, value) for name, values in PROCESSES.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_numbers_of_processes_that_make_no_sense_are_one_sentence(name, value, monkeypatch):
    for each, usual in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(each, value if each == name else usual)
    with pytest.raises(ValueError, match=f"the environment variable {name} is") as error:
        distributed.start_processes("cpu")
    one_sentence(str(error.value))


@pytest.mark.parametrize("missing", ["RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_a_number_of_processes_without_torchrun_is_one_sentence(missing, monkeypatch):
    for each, usual in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.delenv(each, raising=False)
        if each != missing:
            monkeypatch.setenv(each, usual)
    with pytest.raises(ValueError, match=f"WORLD_SIZE is 2, but {missing} not set; start the command with torchrun"):
        distributed.start_processes("cpu")


@pytest.mark.parametrize("rank", ["0", "1"])
def test_processes_that_do_not_come_are_not_waited_for_for_ever(rank, monkeypatch):
    monkeypatch.setattr(distributed, "JOIN_SECONDS", 1)
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for each, value in ({"WORLD_SIZE": "2", "RANK": rank} | address).items():
        monkeypatch.setenv(each, value)
    begin = time.monotonic()
    with pytest.raises(
        ValueError, match="not all 2 processes have joined within 1 seconds; start all of them"
    ) as error:
        distributed.start_processes("cpu")
    one_sentence(str(error.value))
    assert time.monotonic() - begin < 30 and not distributed.active()


def test_seeds_are_at_most_what_every_library_takes():
    from where2edit.commands.seeds import MOST_SEEDS, parse_seeds

    assert parse_seeds(f"{MOST_SEED}") == [MOST_SEED] and len(parse_seeds(f"0-{MOST_SEEDS - 1}")) == MOST_SEEDS
    with pytest.raises(ValueError, match="too large"):
        parse_seeds(str(MOST_SEED + 1))


# What every command shares


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_the_terminal_cannot_show_ends_nothing(encoding, monkeypatch, tmp_path):
    import io

    from where2edit.commands import cli

    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as end:
        cli.run_command(lambda help_text: print("金发 😀 \ud800 done"), "A heading.")
    stream.flush()
    assert end.value.code == 0 and b"done" in stream.buffer.getvalue()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("a\nb\nc"), 2, "error: a b c\n"),
        (ValueError("x" * 5000), 2, "error: " + "x" * 195),
        (OSError(28, "No space left on device", "file"), 2, "error: [Errno 28] No space left on device: 'file'\n"),
        (KeyboardInterrupt(), 130, "interrupted; what was finished is kept, and the same command can be run again\n"),
    ],
)
def test_whatever_ends_a_command_is_one_line(error, code, said, monkeypatch, capsys):
    from where2edit.commands import cli

    def ends(help_text):
        raise error

    with pytest.raises(SystemExit) as end:
        cli.run_command(ends, "A heading.")
    found = capsys.readouterr().err
    assert end.value.code == code and found.startswith(said) and len(found.splitlines()) == 1 and len(found) < 320


def test_weights_that_cannot_be_fetched_are_a_line_each(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WHERE2EDIT_OFFLINE", "1")
    code, _, error = call(monkeypatch, capsys, "download", "scrfd", "clip-vit-b32")
    assert code == 2 and all(len(line) <= 307 for line in error.splitlines()) and "Traceback" not in error


def run(code, **options):
    """A Python process with some code in the project's folder."""
    options = {"capture_output": True, "text": True, "timeout": 120, "cwd": toy.ROOT} | options
    return subprocess.run([sys.executable, "-c", code], check=False, **options)


def test_ctrl_c_while_a_script_imports_is_one_line():
    done = run("import where2edit.commands, sys; print('begun', flush=True); raise KeyboardInterrupt")
    assert done.returncode == 130 and done.stdout == "begun\n"
    assert done.stderr.startswith("interrupted; ") and len(done.stderr.splitlines()) == 1
    defect = run("import where2edit.commands; 1 / 0")
    assert defect.returncode == 1 and "ZeroDivisionError" in defect.stderr


PRINTS = "from where2edit.commands import cli; cli.run_command(lambda text: print('words'), '')"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_takes_nothing_is_one_line(unbuffered):
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` leaves it
    where = {"capture_output": False, "stdout": writer, "stderr": subprocess.PIPE}
    done = run(PRINTS, **where, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    os.close(writer)
    assert done.returncode == 2 and "Broken pipe" in done.stderr
    one_sentence(done.stderr)


def test_a_warning_is_one_short_line():
    from where2edit.commands import cli

    said = cli._one_line(UserWarning("a long\nname " * 100), "file", 1)
    assert said.startswith("warning: a long name") and said.endswith("\n") and len(said) <= 310


def test_without_any_output_nothing_is_printed(monkeypatch):
    from where2edit.commands import cli

    monkeypatch.setattr(sys, "stdout", None)  # as `>&-` leaves it
    with pytest.raises(SystemExit) as end:
        cli.run_command(lambda text: print("words"), "A heading.")
    assert end.value.code == 0


@pytest.mark.parametrize("name", ["WHERE2EDIT_CACHE", "WHERE2EDIT_WEIGHTS"])
def test_a_home_that_is_not_known_is_one_sentence(name, monkeypatch, capsys):
    monkeypatch.setenv(name, "~nobody-of-this-name/weights")
    code, _, error = call(monkeypatch, capsys, "download", "--list")
    assert code == 2 and f"set {name} to a folder of yours" in one_sentence(error)


def test_no_home_at_all_is_one_sentence(monkeypatch, capsys):
    def absent(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("WHERE2EDIT_CACHE", raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", absent)
    code, _, error = call(monkeypatch, capsys, "download", "--list")
    assert code == 2 and "set WHERE2EDIT_CACHE to a folder of yours" in one_sentence(error)


@pytest.mark.parametrize("overwrite", [False, True])
def test_damaged_regions_are_named_and_can_be_fitted_again(overwrite, tmp_path):
    from where2edit.commands.cluster import known
    from where2edit.editor.profile import load_profile

    path = tmp_path / "regions.safetensors"
    path.write_bytes(b"damaged")
    generator = types.SimpleNamespace(name="stylegan2-32")
    if overwrite:
        assert not known(load_profile(TOY), generator, path, overwrite)
    else:
        with pytest.raises(ValueError, match="regions.safetensors is not a safetensors file .* --overwrite"):
            known(load_profile(TOY), generator, path, overwrite)
    assert path.read_bytes() == b"damaged"
