"""The evaluation end to end on the toy profile with stand-in networks: resume, processes, controls, reports."""

import copy
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluation_cases import ORACLE, PROMPTS, ROWS, options, protocol
from metric_cases import Judge, make_networks
from survival_cases import free_port, one_thread
from torch.multiprocessing import start_processes
from toy_cases import lively_editor, openai_net

from where2edit.commands.evaluate import build_parser
from where2edit.core import distributed
from where2edit.core.config import build_section
from where2edit.editing.cosine_calibration import measure
from where2edit.editor import build
from where2edit.editor.build import build_conditions, build_encoder, build_frozen, build_generator
from where2edit.editor.profile import load_profile
from where2edit.evaluation import evaluate as evaluation
from where2edit.evaluation import heldout, natural_faces, runner, sample_sheet, tables, workers
from where2edit.evaluation import networks as evaluation_networks
from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.figures import average
from where2edit.evaluation.metrics import natural as natural_metrics
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import Goal, Row
from where2edit.evaluation.rows import RowBuilder
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.samples import SamplingPlan
from where2edit.evaluation.store import MeasurementStore
from where2edit.evaluation.table import PlannedTable
from where2edit.files import tensorfile
from where2edit.methods import METHODS
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.clip import ClipOptions


@pytest.fixture(scope="module")
def toy():
    """The toy profile with a threshold that its untrained attention passes on some regions, and its encoder."""
    profile = load_profile("configs/toy.yaml", ["blending.threshold=0.5"])
    torch.manual_seed(0)
    return profile, build_encoder(profile)


def run(toy, folder, chosen=None, rows=ROWS, **changes):
    profile, encoder = toy
    networks = make_networks(train_encoder=encoder)
    return evaluation.evaluate(profile, chosen or [protocol(rows=rows)], folder, encoder, networks, options(**changes))


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def make_alike(patch=setattr):
    """The commit is a label of every figure, and someone may commit while the tests run; sheets are small."""
    patch(evaluation, "commit", lambda: "0" * 40)
    for each in (runner, sample_sheet):
        patch(each, "SHEET_CELL", 32)


@pytest.fixture(scope="module", autouse=True)
def alike():
    with pytest.MonkeyPatch.context() as patch:
        make_alike(patch.setattr)
        yield


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run(toy, folder)
    return folder


def figures(folder, name="figures.jsonl"):
    lines = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    return {(line["row"], line["metric"], line["prompt"], line["strength"]): line for line in lines}


def test_no_op_wins_what_it_should_and_loses_the_rest(finished):
    found = {key[:2]: line["value"] for key, line in figures(finished).items()}
    assert abs(found["no-op", "fid_vs_unedited"]) < 1e-6 and found["no-op", "success_train_encoder"] == 0
    assert found["no-op", "id_arcface"] == pytest.approx(1) and found["no-op", "psnr_outside_hair"] == 100
    assert found["full-image", "fid_vs_unedited"] > 1e-3 and found["full-image", "id_arcface"] < 1
    assert found["full-image", "changed_outside_mask"] is None
    assert found["no-op", "changed_outside_mask"] == 0
    assert not found["ours", "changed_outside_mask"], "0, or no pixel out of reach"


def test_report_labels_and_paper_column(finished):
    page = (finished / "report.md").read_text()
    assert "Generator `stylegan2`, text-image encoder `toy`" in page and "the editor is untrained" in page
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    column = table[0].index("id_arcface ↑")
    assert table[0][column + 1] == "paper"
    by_row = {row[0]: row for row in table[2:]}
    assert by_row["StyleCLIP"][column : column + 2] == ["–", "0.79"]
    assert by_row["ours"][column + 1] == "0.84" and by_row["no-op"][column + 1] == ""
    assert "Null hypothesis that *ours* is not better than *no-op*: id_arcface p = " in page
    assert (finished / "small-sheet.png").is_file()
    line = figures(finished)["ours", "id_arcface", None, 0.1]
    assert {"low", "high", "n", "seed", "config", "weights", "commit", "encoder", "generator", "profile"} <= line.keys()


def test_a_stopped_run_ends_with_the_same_bytes(toy, tmp_path, finished, monkeypatch):
    whole, write = ProtocolRunner._chunk, MeasurementStore.write
    calls = []

    def dies(self, *rest):
        calls.append(rest)
        if len(calls) == 4:
            raise KeyboardInterrupt
        write(self, *rest)

    monkeypatch.setattr(MeasurementStore, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        run(toy, tmp_path)
    assert not (tmp_path / "report.md").exists()
    monkeypatch.setattr(MeasurementStore, "write", write)
    made = []
    monkeypatch.setattr(ProtocolRunner, "_chunk", lambda self, *rest: made.append(whole(self, *rest)) or made[-1])
    run(toy, tmp_path)
    assert sum(made) == (6 - 3) * 2
    assert contents(tmp_path) == contents(finished)


def test_forked_processes_end_with_the_same_bytes(toy, tmp_path, finished, capfd):
    run(toy, tmp_path, processes=2)
    assert contents(tmp_path) == contents(finished)
    assert sorted(line[:14] for line in capfd.readouterr().out.splitlines()) == ["chunk 1 of 2: ", "chunk 2 of 2: "]


def test_a_process_that_fails_is_reported(tmp_path, capfd):
    def work(number, processes):
        (tmp_path / f"{number} of {processes}").touch()
        if number:
            raise RuntimeError("out of luck")

    with pytest.raises(OSError, match="ended with code 1 .*the same command goes on"):
        workers.share(work, 2)
    assert len(list(tmp_path.iterdir())) == 2 and "out of luck" in capfd.readouterr().err
    assert workers.process_count(3, "cpu") == 3 and workers.process_count(None, "cuda:0") == 1
    with pytest.raises(ValueError, match="at least 1, got 0"):
        workers.process_count(0, "cpu")


def in_a_group(folder):
    """What each process of a group does."""
    make_alike()
    distributed.start_processes("cpu")
    profile = load_profile("configs/toy.yaml", ["blending.threshold=0.5"])
    torch.manual_seed(0)
    run((profile, build_encoder(profile)), Path(folder))
    distributed.leave()


def one_of_two(rank, folder, port):
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    in_a_group(folder)


def test_gloo_processes_end_with_the_same_bytes(tmp_path, finished):
    with one_thread():
        start_processes(one_of_two, (str(tmp_path / "out"), free_port()), nprocs=2, start_method="forkserver")
    assert contents(tmp_path / "out") == contents(finished)


WITH_TORCHRUN = """
import sys
sys.path[:0] = ["tests", "tests/evaluation"]
import test_evaluation
test_evaluation.in_a_group(sys.argv[1])
"""


@pytest.mark.slow
def test_processes_of_torchrun_end_with_the_same_bytes(tmp_path, finished):
    (tmp_path / "run.py").write_text(WITH_TORCHRUN)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    subprocess.run([*start, str(tmp_path / "run.py"), str(tmp_path / "out")], env=environment, check=True, timeout=300)
    assert contents(tmp_path / "out") == contents(finished)


def test_prompts_are_embedded_one_by_one(toy, tmp_path):
    """In a batch the last bits of an embedding depend on its neighbours, and so on the order of the work."""
    runner = ProtocolRunner(tmp_path, build_conditions(*toy), make_networks(), 0.7)
    asked, text = [], runner.conditions.encoder.text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner.conditions.encoder, "text", lambda p, cut: asked.append(p) or text(p, cut))
        runner.prepare(
            [PlannedTable(each, SamplingPlan(4), [], {}) for each in (protocol(), protocol(prompts=PROMPTS[:2]))]
        )
        runner.conditions.of([prompt.text for prompt in PROMPTS], 0.1)
    assert asked == [[prompt.text] for prompt in PROMPTS]


def test_a_larger_n_keeps_what_is_there(toy, tmp_path, finished, monkeypatch):
    run(toy, tmp_path, n=2)
    made, chunk = [], ProtocolRunner._chunk
    monkeypatch.setattr(ProtocolRunner, "_chunk", lambda self, *rest: made.append(chunk(self, *rest)) or made[-1])
    run(toy, tmp_path, n=4)
    assert made == [0, 6]
    assert contents(tmp_path) == contents(finished)


def test_a_damaged_file_is_measured_again(toy, tmp_path, finished):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    victim = next((tmp_path / "samples" / "small").glob("ours-*/all-000002.safetensors"))
    victim.write_bytes(victim.read_bytes()[:100])
    flipped = victim.with_name("all-000000.safetensors")
    data = flipped.read_bytes()
    flipped.write_bytes(data[:-1] + bytes([data[-1] ^ 4]))
    run(toy, tmp_path)
    assert contents(tmp_path) == contents(finished)


def test_another_seed_or_weight_is_another_store(toy, tmp_path, finished):
    run(toy, tmp_path, seed=501, n=1)
    stores = [{p.parent.name for p in (f / "samples" / "small").rglob("*.safetensors")} for f in (tmp_path, finished)]
    assert not stores[0] & stores[1]


def test_paper_mode_crosses_prompts_and_averages_them(toy, tmp_path):
    run(toy, tmp_path, n=2, paper=True, rows=ROWS[2:])
    found = figures(tmp_path)
    for metric in ("fid_vs_unedited", "success_train_encoder", "id_arcface"):
        parts = [found["ours", metric, prompt.text, 0.1] for prompt in PROMPTS]
        whole = found["ours", metric, None, 0.1]
        assert whole["value"] == pytest.approx(sum(part["value"] for part in parts) / 3) and whole["n"] == 6
        assert [part["n"] for part in parts] == [2, 2, 2]
    assert average([None]) is None
    assert average([Interval(1, 0, 2, 4), Interval(3, 2, 4, 4)]).low == pytest.approx(2 - 2**0.5 / 2)


def test_a_crossed_protocol_prints_prompts_and_goals(toy, tmp_path):
    prompts = tuple(
        replace(p, concept=concept, tags=tags)
        for p, concept, tags in zip(PROMPTS, ("Smiling", "-Smiling", "Big_Nose"), (("a",), ("a", "b"), ()), strict=True)
    )
    goals = (
        Goal("id_arcface", at_least=0.0, tag="a"),
        Goal("judge_unasked", at_most=-1.0, share=0.5),
        Goal("success_judge_lacking", at_least=0.0, tag="b"),
    )
    names = ("judge_unasked", "id_arcface", "success_judge_lacking")
    chosen = protocol(name="prompts", crossed=True, prompts=prompts, goals=goals, metrics=names, tests=(), n=2)
    run(toy, tmp_path, [chosen], n=None)
    page = (tmp_path / "report.md").read_text()
    assert "Every prompt on each of 2 sources" in page
    found = figures(tmp_path)
    per_prompt = [found["ours", "id_arcface", p.text, 0.1]["value"] for p in prompts]
    assert f"| id_arcface at least 0, mean over a prompts | {sum(per_prompt[:2]) / 2:.4g} | yes |" in page
    assert "| judge_unasked at most -1, 50% of all prompts | 0% | NO | blond hair, red lips, big nose |" in page
    line = next(line for line in page.splitlines() if line.startswith("| big nose |"))
    assert tables.number("judge_unasked", found["ours", "judge_unasked", "big nose", 0.1]["value"]) in line
    lacking = [found["ours", "success_judge_lacking", p.text, 0.1] for p in prompts]
    assert {line["n"] for line in lacking} != {2}, "only sources that lack the attribute count"


def test_an_evaluation_is_one_call_from_python(toy, tmp_path):
    chosen = [protocol(metrics=("changed_outside_mask",), tests=(), paper={}, rows=ROWS[::2])]
    pages = evaluation.evaluate_profile(toy[0], chosen, tmp_path, "cpu", options(n=2))
    assert pages == [tmp_path / "report.md"]
    assert figures(tmp_path)["no-op", "changed_outside_mask", None, 0.1]["value"] == 0


def test_the_options_of_python_and_of_the_command_line_have_the_same_defaults():
    given = vars(build_parser("").parse_args(["--table", "1"]))
    assert {name: given[name] for name in vars(EvaluationOptions())} == vars(EvaluationOptions())


def test_the_sheet_over_strengths_shows_each_whichever_was_made_last(toy, tmp_path, monkeypatch):
    drawn, draw = [], sample_sheet.pictures.sheet
    monkeypatch.setattr(sample_sheet.pictures, "sheet", lambda *given: drawn.append(given[:3]) or draw(*given))
    chosen = [protocol(name="curve", kind="strength", strengths=(0.0, 0.4), n=1, metrics=("lpips",), tests=())]
    run(toy, tmp_path, chosen)
    before = (tmp_path / "curve-sheet.png").read_bytes()
    ((source, none, much), *_), _, heads = drawn[0]
    assert heads == ["source", "strength 0", "strength 0.4"]
    assert torch.equal(source, none) and not torch.equal(source, much)
    for file in tmp_path.rglob("*s0-*.safetensors"):
        file.unlink()  # as in a run that was stopped there
    run(toy, tmp_path, chosen)
    assert (tmp_path / "curve-sheet.png").read_bytes() == before


def test_strength_sequence_and_time(toy, tmp_path):
    chained = ("drift", "id_arcface", "difference_outside_region")
    chosen = [
        protocol(name="curve", kind="strength", strengths=(0.0, 0.4), n=1, metrics=("lpips", "id_arcface"), tests=()),
        protocol(name="chain", kind="sequential", n=1, metrics=chained, rows=(*ROWS[:2], ORACLE, *ROWS[2:])),
        protocol(name="clock", kind="time", n=1, metrics=("run_time",), tests=(), rows=ROWS[2:]),
    ]
    pages = run(toy, tmp_path, chosen)
    assert [page.name for page in pages] == ["report.md", "times.md"]
    found = figures(tmp_path)
    assert found["ours", "lpips", None, 0.0]["value"] < 1e-6 < found["ours", "lpips", None, 0.4]["value"]
    assert found["no-op", "drift", None, 0.1]["value"] == 0 and found["oracle", "drift", None, 0.1]["value"] == 0
    assert found["oracle", "id_arcface", None, 0.1]["value"] < 1
    assert found["no-op", "id_arcface", None, 0.1]["value"] == pytest.approx(1)
    assert found["full-image", "difference_outside_region", None, 0.1]["value"] > 0
    assert figures(tmp_path, "times.jsonl")["ours", "run_time", None, 0.1]["value"] > 0
    assert (tmp_path / "curve.png").is_file() and "| ours | 0.4 |" in (tmp_path / "report.md").read_text()


def test_rows_edit_at_natural_strength_beside_one_of_a_number(toy, tmp_path):
    profile, encoder = toy
    path = measure(build_generator(profile), encoder, None, 8, 0.7).save(tmp_path / "calibration.safetensors")
    calibrated = load_profile("configs/toy.yaml", ["blending.threshold=0.5", f"natural_strength.calibration={path}"])
    rows = (*ROWS[:1], Row("old", strength=0.1), Row("ours"))
    names = ("id_arcface", "success_train_encoder")
    two = {"prompts": PROMPTS[::2], "tests": ()}
    chosen = [
        protocol(rows=rows, metrics=names, **two),
        protocol(name="chain", kind="sequential", n=1, rows=rows, metrics=("drift",), **two),
        protocol(name="curve", kind="strength", strengths=(0.4,), n=1, rows=rows[2:], metrics=("lpips",), **two),
        protocol(name="clock", kind="time", n=1, rows=rows[1:], metrics=("run_time",), **two),
    ]
    run((calibrated, encoder), tmp_path / "a", chosen, n=2)
    run(toy, tmp_path / "b", [protocol(rows=ROWS[::2], metrics=names, **two)], n=2)
    found, plain = figures(tmp_path / "a"), figures(tmp_path / "b")
    old, ours = (found[label, "id_arcface", None, s]["value"] for label, s in (("old", 0.1), ("ours", "auto")))
    assert old == plain["ours", "id_arcface", None, 0.1]["value"] and ours != old
    assert ("ours", "drift", None, "auto") in found and ("old", "drift", None, 0.1) in found
    assert ("ours", "lpips", None, 0.4) in found, "a protocol's own strengths stay numbers"
    times = figures(tmp_path / "a", "times.jsonl")
    assert times["ours", "run_time", None, "auto"]["value"] > 0 and times["old", "run_time", None, 0.1]["value"] > 0
    page = (tmp_path / "a" / "report.md").read_text()
    assert "first seed 500, strength auto (natural) (*old* 0.1)." in page
    crossed = [protocol(rows=rows, metrics=names, crossed=True, n=1, **two)]
    run((calibrated, encoder), tmp_path / "c", crossed)
    page, found = (tmp_path / "c" / "report.md").read_text(), figures(tmp_path / "c")
    value = tables.number("id_arcface", found["ours", "id_arcface", "big nose", "auto"]["value"])
    assert "*ours*, prompt by prompt" in page and f"| big nose | {value} |" in page
    assert "first seed 500, strength 0.1." in (tmp_path / "b" / "report.md").read_text()


def test_a_row_at_natural_strength_without_a_calibration_is_left_out(toy, tmp_path):
    rows = (ROWS[0], Row("natural", strength="auto"), ROWS[2])
    run(toy, tmp_path, rows=rows, n=1)
    assert (
        "Row *natural* was left out: its strength is auto, and the profile has no calibration"
        in (tmp_path / "report.md").read_text()
    )


class DecidedJudge(Judge):
    """The stand-in judge with larger logits, by which many faces have and many lack each concept."""

    def forward(self, images):
        return 40 * super().forward(images)


def test_edits_are_compared_with_natural_examples(toy, tmp_path, monkeypatch):
    """Natural faces are made once; of two prompts one asks for what too few of them have, and is left out."""
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(natural_metrics, "FEWEST", 10)
    monkeypatch.setattr(natural_faces, "SHARD", 40)
    profile, encoder = toy
    networks = make_networks(train_encoder=encoder, judge=DecidedJudge())
    prompts = tuple(
        replace(prompt, concept=concept) for prompt, concept in zip(PROMPTS, ("Smiling", "-Smiling", None), strict=True)
    )
    names = ("judge_after", "kid_vs_natural", "kid_vs_natural_floor", "overshoot")
    changes = {"crossed": True, "prompts": prompts, "metrics": names, "tests": (), "paper": {}, "rows": ROWS[::2]}
    chosen = [protocol(**changes), protocol(name="curve", kind="strength", strengths=(0.05, 0.4), n=3, **changes)]
    asked = options(n=3, natural_faces=40)
    evaluation.evaluate(profile, chosen, tmp_path / "out", encoder, networks, asked)
    examples = {
        text: len(networks["natural_faces"].examples(Asked(2, s))) for text, s in (("blond hair", 1), ("red lips", -1))
    }
    enough = [text for text, count in examples.items() if count >= 10]
    assert len(networks["natural_faces"]) == 40 and enough, examples
    page, found = (tmp_path / "out" / "report.md").read_text(), figures(tmp_path / "out")
    for text in [prompt.text for prompt in prompts]:
        for name in names[1:]:
            assert (found["ours", name, text, 0.1]["value"] is not None) == (text in enough)
    left_out = ", ".join(prompt.text for prompt in prompts if prompt.text not in enough)
    assert f"- `overshoot` leaves out {left_out}: fewer than" in page
    assert "looked for among 40 unedited generated faces, first seed 500000" in page
    assert f"| {enough[0]}, 0.4 |" in page and (tmp_path / "out" / "curve.png").is_file()
    assert len(list((tmp_path / "cache" / "natural-faces").rglob("*.safetensors"))) == 1
    with pytest.raises(ValueError, match="--seed 500003 with 3 sources meets"):
        evaluation.evaluate(profile, chosen, tmp_path / "out", encoder, networks, replace(asked, seed=500_003))


def test_without_natural_faces_their_metrics_are_left_out(toy, tmp_path):
    networks = make_networks(train_encoder=toy[1])
    networks._ready.pop("natural_faces")
    chosen = [protocol(metrics=("id_arcface", "kid_vs_natural"), tests=(), paper={}, rows=ROWS[::2])]
    evaluation.evaluate(toy[0], chosen, tmp_path, toy[1], networks, options(n=1))
    assert (
        "`kid_vs_natural` was left out: ask for natural examples with `--natural-faces`"
        in (tmp_path / "report.md").read_text()
    )


def test_masks_do_not_render(toy, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("the masks protocol needs no edited image")

    names = ("mask_iou", "mask_precision", "mask_recall")
    monkeypatch.setattr(METHODS.get("full-image"), "render", refuse)
    rows = (*ROWS[:2], ORACLE, *ROWS[2:])
    run(toy, tmp_path, [protocol(name="masks", kind="masks", metrics=names, tests=("mask_iou",), rows=rows)])
    found = {key[:2]: line["value"] for key, line in figures(tmp_path).items()}
    assert found["no-op", "mask_iou"] == 0 and found["full-image", "mask_recall"] == 1
    assert found["oracle", "mask_recall"] == 1 and found["oracle", "mask_iou"] > found["full-image", "mask_iou"]
    assert (tmp_path / "masks.png").is_file() and (tmp_path / "masks-sheet.png").is_file()


def test_missing_networks_and_rows_are_named(toy, tmp_path):
    absent = Row("W/O Clus", overrides=("method.name=where2edit-no-clusters",), trained=True)
    rows = (*ROWS[:1], absent, *ROWS[2:])
    profile, encoder = toy
    networks = make_networks(train_encoder=encoder)
    for name in ("heldout_encoder", "real_features"):
        networks._ready.pop(name)
    metrics = ("success_heldout_encoder", "fid_vs_real", "id_facenet")
    evaluation.evaluate(
        profile, [protocol(rows=rows, metrics=metrics, tests=())], tmp_path, encoder, networks, options()
    )
    page = (tmp_path / "report.md").read_text()
    assert "`success_heldout_encoder` was left out: name a text-image encoder" in page
    assert "Row *W/O Clus* was left out: it is not trained yet; run scripts/evaluate.py, which trains it." in page
    assert "id_facenet" in page


def test_a_heldout_encoder_of_any_kind(toy, tmp_path):
    """CLIP from a small archive of OpenAI's layout, on the toy profile."""
    state = {name: value for name, value in openai_net().state_dict().items() if name != "attn_mask"}
    torch.save(state, tmp_path / "small.pt")
    profile, encoder = toy
    chosen = [protocol(metrics=("success_heldout_encoder", "cosine_after_heldout_encoder"), tests=(), rows=ROWS[::2])]
    named = options(heldout=f"clip:{tmp_path / 'small.pt'}")
    networks = evaluation_networks.build_networks(profile, encoder, "cpu", named, tmp_path)
    evaluation.evaluate(profile, chosen, tmp_path, encoder, networks, named)
    found = {key[:2]: line for key, line in figures(tmp_path).items()}
    assert found["no-op", "success_heldout_encoder"]["value"] == 0
    assert found["no-op", "success_heldout_encoder"]["heldout"] == named.heldout
    text = build_section(TEXT_IMAGE, heldout.heldout_config(named.heldout), "text_image").text(
        [p.text for p in PROMPTS]
    )
    assert torch.equal(networks["heldout_encoder"].text([p.text for p in PROMPTS]), text)
    assert f"held-out encoder `{named.heldout}`" in (tmp_path / "report.md").read_text()
    before = heldout.heldout_digest(named.heldout)
    torch.save(state | {"logit_scale": torch.tensor(1.0)}, tmp_path / "small.pt")
    assert heldout.heldout_digest(named.heldout) != before, "another file is another held-out encoder"


def test_another_encoder_or_judge_is_another_store(toy, tmp_path):
    profile, encoder = toy
    known = set()
    for change in (None, "train_encoder", "judge"):
        networks = make_networks(train_encoder=encoder)
        if change:
            network = copy.deepcopy(networks[change])
            for value in network.state_dict().values():
                value.add_(1)
            networks.give(change, network)
        builder = RowBuilder(profile, build_frozen(profile, encoder), networks, options())
        table = builder.plan(protocol(), SamplingPlan(2))
        known |= {str(row.depends_on) for row in table.rows}
        assert not table.left_out and builder.plan(protocol(), SamplingPlan(2)).rows[-1].method is table.rows[-1].method
    assert len(known) == 3 * len(ROWS)


def test_a_row_with_weights_builds_its_method_once(toy, frozen, tmp_path, monkeypatch):
    weights = lively_editor(tmp_path / "editor.safetensors")
    made, whole = [], build.built
    monkeypatch.setattr(build, "built", lambda *given: made.append(whole(*given)) or made[-1])
    builder = RowBuilder(toy[0], frozen, make_networks(train_encoder=toy[1]), options())
    named = (f"method.weights={weights}",)
    row = builder.row(Row("ours", overrides=named), SamplingPlan(1))
    assert made == [row.method]
    stored, _ = tensorfile.read(weights)
    assert stored and all(torch.equal(row.method.get_parameter(name), x.float()) for name, x in stored.items())
    assert builder.row(Row("no-op", "no-op", overrides=named), SamplingPlan(1)).method is made[1]


def test_a_source_without_its_tail_edits_the_same(frozen, toy):
    method = METHODS.get("where2edit")(frozen, toy[0].method).eval()
    w = method.latents(frozen.generator.sample_z([3, 4]), 0.7)
    with torch.no_grad():
        whole, part = frozen.generator.source(w), method.source(w)
    assert torch.equal(part.image, whole.image) and len(part.features) < len(whole.features)
    condition = build_conditions(*toy).of(["blond hair", "red lips"], 0.3)
    assert torch.equal(method(whole, condition).image, method(part, condition).image)


def test_names_of_heldout_encoders(toy, tmp_path):
    read = heldout.heldout_config
    assert ClipOptions(**read("clip").options).model == "ViT-B-32-quickgelu" and read("clip").weights is None
    named = read("clip:ViT-B-16:openai")
    assert (named.options["model"], named.weights) == ("ViT-B-16", "openai")
    assert read("facetext:mine.safetensors").weights == "mine.safetensors"
    for wrong in ("clip:a:b:c", "clip:"):
        with pytest.raises(ValueError, match="write NAME, NAME:MODEL"):
            read(wrong)
    with pytest.raises(ValueError, match="'clop'.*did you mean 'clip'"):
        read("clop")
    with pytest.raises(ValueError, match="is the encoder of the training itself"):
        evaluation_networks.build_networks(*toy, "cpu", options(heldout="toy"), tmp_path)


@pytest.fixture(scope="module")
def frozen(toy):
    profile, encoder = toy
    return build_frozen(profile, encoder)


def edit(name, toy, frozen, prompts, **attributes):
    method = METHODS.get(name)(frozen, toy[0].method).eval()
    for key, value in attributes.items():
        setattr(method, key, value)
    source = method.source(frozen.generator.w(frozen.generator.sample_z([1, 2])))
    condition = build_conditions(*toy).of(prompts, 0.3)
    with torch.no_grad():
        return source, method(source, condition)


def test_controls(toy, frozen):
    prompts = ["blond hair", "red lips"]
    source, nothing = edit("no-op", toy, frozen, prompts)
    assert torch.equal(nothing.image, source.image) and not nothing.mask.any()
    _, everywhere = edit("full-image", toy, frozen, prompts)
    assert (everywhere.mask == 1).all() and not torch.equal(everywhere.image, source.image)
    parser = make_networks()["face_parsing"]
    regions = {"blond hair": ("hair",), "red lips": ("lips",)}
    _, oracle = edit("oracle-mask", toy, frozen, prompts, regions=regions, parser=parser)
    assert oracle.mask[0, 0, :4].all() and not oracle.mask[0, 0, 4:].any()
    assert oracle.mask[1, 0, 11].sum() == 4 and oracle.mask[1].sum() == 4
    with pytest.raises(ValueError, match="does not know the region of .*a hat"):
        edit("oracle-mask", toy, frozen, ["a hat", "blond hair"], regions=regions, parser=parser)
