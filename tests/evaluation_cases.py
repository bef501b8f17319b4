"""A small protocol and options for tests of the evaluation."""

from dataclasses import replace

from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import Prompt, Protocol, Row

ROWS = (Row("no-op", "no-op"), Row("full-image", "full-image"), Row("ours"))
ORACLE = Row("oracle", "oracle-mask")
PROMPTS = (Prompt("blond hair", ("hair",)), Prompt("red lips", ("lips",)), Prompt("big nose", ("nose",)))


def protocol(**changes):
    base = Protocol(
        name="small",
        title="Small",
        prompts_from="ours",
        prompts=PROMPTS,
        rows=ROWS,
        metrics=("fid_vs_unedited", "success_train_encoder", "id_arcface", "changed_outside_mask", "psnr_outside_hair"),
        tests=("id_arcface",),
        paper={"ours": {"id_arcface": 0.84}, "StyleCLIP": {"id_arcface": 0.79}},
    )
    return replace(base, **changes)


def options(**changes):
    return replace(EvaluationOptions(n=4, seed=500, processes=1, natural_faces=0), **changes)
