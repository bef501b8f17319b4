"""The pages of the reports on facetext and on the judge, in Markdown."""

from __future__ import annotations

from where2edit.core.sentences import figure
from where2edit.facetext.phrases import EDITOR_PROMPTS
from where2edit.facetext.report import verdicts

ATTRIBUTES = (
    "AUC of single plain phrases, averaged over the phrases. The training phrases were extended once after a look at"
    " which held-out ones failed; the `fresh` ones were written after that and chose no phrase. `denied` scores"
    " held-out denials against the opposite."
)
CORRELATION = (
    "Correlation of a prompt's score with sex and age among photos that agree on the attribute, and the cosine of the"
    ' prompt with "a man" minus "a woman" and with "young" minus "old".'
)
ATTACK = (
    'Gain of the cosine with "a smile" over what a real smile is worth (1 = smiling minus unsmiling photos), for signed'
    " gradient steps within so many levels of 255: as the optimiser sees it, and in new views of the same pictures"
    " (rotated, shifted, low-passed)."
)


def page(figures: dict, facts: dict) -> str:
    """The report in Markdown."""
    intro = (
        f"Written by `{facts['command']}`. Every figure is facetext's, on CelebA's validation tenth"
        f" ({facts['photos']} photos) and {facts['faces']} generated faces of MobileStyleGAN kept out of training;"
        f" none is CLIP's. Weights sha256 {facts['weights'][:12]}, config {facts['config']}, seed {facts['seed']}."
    )
    pace = figures["speed"]
    speed_line = (
        f"Forward and backward at batch 8: {pace['seconds']:.2f} s on {pace['threads']} threads, the fastest of 20;"
        f" loading, MiniLM included: {facts['loading']:.1f} s."
    )
    parts = [
        "# facetext: report", intro, "## What was asked for", _claims(figures, facts),
        "## Attributes", ATTRIBUTES,
        _attributes(figures["attributes"]),
        "## Negations", "AUC of the difference between a prompt and its denial.", _two("prompts", figures["opposites"]),
        "## Altered generated faces", "AUC, altered against as they were.", _two("prompt", figures["altered"]),
        "## Inside one sex or age", _groups(figures["groups"]),
        "## Correlation that is left", CORRELATION, _correlations(figures["correlations"]),
        "## Optimising pixels for a smile", ATTACK, _attack(figures["attack"]),
        "## Words", "Cosines.", _two("pair", figures["words"]), "## Speed", speed_line,
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def judge_page(table: dict[str, dict], facts: dict) -> str:
    """The judge's report in Markdown."""
    photos = [row["auc"] for row in table.values() if row["on"] == "photos"]
    asked = {name for name, _ in EDITOR_PROMPTS.values()}
    editor = [row["auc"] for name, row in table.items() if name in asked]
    intro = (
        f"Written by `{facts['command']}`. Mean AUC over the 40 "
        f"attributes {_number(sum(photos) / len(photos))} on {facts['photos']}"
        f" validation photos; over the {len(editor)} concepts that "
        f"the editor's prompts name {_number(sum(editor) / len(editor))},"
        f" lowest {_number(min(editor))}. Painted concepts are measured "
        f"on {facts['faces']} generated faces kept out of training,"
        f" against the same faces as they were. Weights sha256 {facts['weights'][:12]}, config {facts['config']}."
    )
    rows = [
        [name, row["on"], str(row["positives"]), _number(row["auc"]), "yes" if name in asked else ""]
        for name, row in table.items()
    ]
    return f"# The judge: report\n\n{intro}\n\n{_table(['concept', 'on', 'positives', 'AUC', 'editor'], rows)}\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _claims(figures: dict, facts: dict) -> str:
    """Every figure that has a threshold."""
    rows = [
        [v.claim, _number(v.value), f"{'< ' if v.under else ''}{v.asked:.2f}", "met" if v.met else "**missed**"]
        for v in verdicts(figures, facts)
    ]
    return _table(["claim", "value", "asked", ""], rows)


def _attributes(table: dict[str, dict]) -> str:
    """The areas under the curve by attribute."""
    columns = ("trained", "held_out", "fresh", "denied")
    rows = [[name, str(row["positives"]), *(_number(row[c]) for c in columns)] for name, row in table.items()]
    return _table(["attribute", "positives", "trained", "held-out", "fresh", "denied"], rows)


def _groups(found: list[dict]) -> str:
    """The areas under the curve inside one sex or age."""
    rows = [[r["attribute"], r["group"], str(r["n"]), str(r["m"]), _number(r["auc"])] for r in found]
    return _table(["attribute", "group", "with", "without", "AUC"], rows)


def _correlations(table: dict[str, dict]) -> str:
    """What is left of sex and age in each prompt's score."""
    columns = ("corr_male", "corr_young", "cos_male", "cos_young")
    rows = [[prompt, *(_number(row[c]) for c in columns)] for prompt, row in table.items()]
    return _table(["prompt", "corr Male", "corr Young", "cos man", "cos young"], rows)


def _attack(found: list[dict]) -> str:
    """The gains of the pixel attack."""
    rows = [[str(r["levels"]), _number(r["plain"]), _number(r["views"])] for r in found]
    return _table(["levels", "as optimised", "new views"], rows)


def _number(value: float) -> str:
    """A figure with three digits; a dash where there is none."""
    return figure(value, ".3f")


def _two(head: str, table: dict[str, float]) -> str:
    """A table of named figures."""
    return _table([head, "value"], [[key, _number(value)] for key, value in table.items()])
