"""Protocols: those that are shipped, their errors, which samples they draw, and their goals by hand."""

from dataclasses import replace

import pytest
from evaluation_cases import PROMPTS, ROWS, options, protocol
from metric_cases import make_networks

from where2edit.editor.profile import load_profile
from where2edit.evaluation import networks, protocols, tables
from where2edit.evaluation.goals import outcome
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.protocols import Goal, Prompt, Row
from where2edit.evaluation.row_profiles import SHARED, row_profile
from where2edit.evaluation.samples import SamplingPlan, prompt_batches
from where2edit.facetext.phrases import EDITOR_PROMPTS, NAMES
from where2edit.methods import METHODS
from where2edit.methods.base import MethodConfig

MOBILE = load_profile("configs/mobile.yaml")
METHODS_TABLES = ("methods", "methods_strength", "methods_time")


def test_the_editor_protocol_tries_every_editor_prompt():
    asked = {prompt.text: prompt.concept for prompt in protocols.load("editor").prompts}
    assert asked == {text: name if true else f"-{name}" for text, (name, true) in EDITOR_PROMPTS.items()}


def test_one_row_only():
    (one,) = protocols.only_rows([protocol()], ["ours"])
    assert [row.label for row in one.rows] == ["ours"]
    assert protocols.only_rows([protocol()], []) == [protocol()]
    lacking = replace(protocol(), name="lacking", rows=(Row("another"),))
    assert [each.name for each in protocols.only_rows([protocol(), lacking], ["ours"])] == [protocol().name]
    with pytest.raises(ValueError, match="no row 'our'; did you mean 'ours'"):
        protocols.only_rows([protocol()], ["our"])


def test_prompt_batches_pair_and_cross():
    spread = prompt_batches(protocol(), SamplingPlan(5), range(2, 5))
    assert [p.text for p in spread[0].prompts] == ["big nose", "blond hair", "red lips"]
    assert spread[0].index.tolist() == [2, 3, 4]
    crossed = prompt_batches(protocol(), SamplingPlan(5, crossed=True), range(2, 5))
    numbers = sorted(i for asked in crossed for i in asked.index.tolist())
    assert numbers == list(range(6, 15)) and {asked.prompts for asked in crossed} == {(p,) * 3 for p in PROMPTS}
    strengths = prompt_batches(protocol(kind="strength", strengths=(0.1, 0.2)), SamplingPlan(5), range(0, 2))
    assert [asked.tag for asked in strengths] == ["s0.1", "s0.2"]


@pytest.mark.parametrize("name", protocols.names())
def test_shipped_protocols_are_whole(name):
    table = protocols.load(name)
    assert table.name == name and table.rows[-1].method == protocols.METHOD
    assert any(row.method != protocols.METHOD for row in table.rows)
    assert set(table.tests) <= set(table.metrics)
    for row in table.rows:
        METHODS.get(row.method if row.method != protocols.METHOD else "where2edit")
        own = row_profile(MOBILE, row)
        assert all(getattr(own, part) == getattr(MOBILE, part) for part in SHARED), row.label
        if row.trained:
            assert own.training_digest != MOBILE.training_digest, "it would be the profile's own editor once more"
    assert {prompt.concept.removeprefix("-") for prompt in table.prompts if prompt.concept} <= set(NAMES)
    for numbers in table.paper.values():
        assert set(numbers) <= set(table.metrics)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ("id_arcfase",)}, "unknown metric 'id_arcfase'; did you mean 'id_arcface'"),
        ({"prompts": (Prompt("x", ("hairs",)),)}, "unknown face region 'hairs'; did you mean 'hair'"),
        ({"prompts": PROMPTS + PROMPTS[:1]}, "names a prompt twice"),
        ({"rows": ROWS + ROWS[:1]}, "different labels"),
        ({"strengths": (0.1,)}, "strengths belong to kind"),
        ({"goals": (Goal("id_arcface", at_least=1, tag="hair"),)}, "no prompt with such a tag"),
    ],
)
def test_protocol_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol(**changes)


def test_command_errors(tmp_path):
    assert protocols.load("2").name == "table2"
    everything = [table.name for table in protocols.select(["all", "masks"])]
    assert (
        sorted([*everything, "editor", "editor_strength", "photos", *METHODS_TABLES]) == sorted(protocols.names())
        and everything[0] == "table1"
    )
    assert [table.name for table in protocols.select(["methods", "methods_time"])] == list(METHODS_TABLES)
    assert [table.name for table in protocols.select(["editor", "1"])] == ["editor", "table1"]
    with pytest.raises(ValueError, match="unknown table 'mask'; did you mean 'masks'"):
        protocols.load("mask")
    with pytest.raises(ValueError, match="holds 0 pictures"):
        networks.real_features(tmp_path, make_networks(), tmp_path)
    with pytest.raises(ValueError, match="at least 1"):
        SamplingPlan.of(protocol(), options(n=-1))
    assert tables.number("success_train_encoder", 0.9872) == "98.72 %"
    assert tables.number("fid_vs_unedited", float("nan")) == "–", "one image has no FID"
    assert MethodConfig().name == "where2edit"


def test_goals_by_hand():
    prompts = tuple(Prompt(text, (), None, ("t",) * (text != "d")) for text in "abcd")
    found = {"a": 0.8, "b": 0.5, "d": 0.0}
    values = {("id_arcface", text): Interval(value, 0, 1, 5) for text, value in found.items()}
    table = protocol(prompts=prompts)
    mean = outcome(Goal("id_arcface", at_least=0.65, tag="t"), table, values)
    assert mean.measured == pytest.approx(0.65) and mean.met and mean.below == ("b",) and mean.unknown == ("c",)
    each = outcome(Goal("id_arcface", at_least=0.65, tag="t", share=0.6), table, values)
    assert each.measured == 0.5 and not each.met
    assert outcome(Goal("id_arcface", at_most=0.8), table, values).met
    nothing = outcome(Goal("id_facenet", at_least=0), table, values)
    assert nothing.measured is None and not nothing.met and len(nothing.unknown) == 4


def test_zero_samples_are_refused_and_not_taken_for_the_protocols_number():
    with pytest.raises(ValueError, match="--n and --batch must be at least 1, got 0"):
        SamplingPlan.of(protocol(), options(n=0))
