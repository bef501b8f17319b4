"""Protocols: what each table of the evaluation measures, read from the YAML files in configs/protocols."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from where2edit.backbones.face_parsing import class_ids
from where2edit.core import config as configs
from where2edit.core.bounds import Count, Figure, Share, Strength
from where2edit.core.registry import nearest
from where2edit.evaluation.metrics import METRICS
from where2edit.files import assets, manifest
from where2edit.inversion.inverter import Quality

FOLDER = "configs/protocols"
METHOD = "method"  # the row of the profile's own method


@dataclass(frozen=True)
class Prompt:
    """A prompt, and what is needed to measure whether an edit followed it."""

    text: str
    regions: tuple[str, ...]  # parts of a face that the words name: groups or classes of backbones.face_parsing
    concept: str | None = None  # attribute of the judge that should appear, or with a leading "-" disappear
    tags: tuple[str, ...] = ()  # groups of prompts that a goal can be set for


@dataclass(frozen=True)
class Row:
    """One line of a table: a method, by default with the profile's weights."""

    label: str
    method: str = METHOD  # a registered method; "method" is the profile's own
    overrides: tuple[str, ...] = ()  # changes of the profile's config, for ablations
    config: str | None = None  # a method's name or path in place of the profile's (row_profiles.py)
    # Whether the evaluation trains it, for the prompts of the table where it learns one each; else the weights are the
    # profile's own.
    trained: bool = False
    tag: str | None = None  # edits by prompts with this tag only; None: by all
    strengths: tuple[Strength, ...] = ()  # in place of the protocol's, of kind "strength"
    # With which it edits where the protocol names none; None: "auto" where the profile has a calibration, else its own.
    strength: Strength | Literal["auto"] | None = None


@dataclass(frozen=True)
class Goal:
    """A bound that the last row should keep.

    Without `share` the mean over prompts is bounded; with it, the figure of at least this share of the prompts.
    """

    metric: str
    at_least: Figure | None = None
    at_most: Figure | None = None
    tag: str | None = None  # only prompts with this tag count; None: all
    share: Share | None = None

    def holds(self, value: float) -> bool:
        """Whether one figure keeps the bound."""
        low = -math.inf if self.at_least is None else self.at_least
        return low <= value <= (math.inf if self.at_most is None else self.at_most)


@dataclass(frozen=True)
class Protocol:
    """A table: its rows, its columns (metrics), and on which samples they are measured.

    `n` pairs of source and prompt in every row, where pair i is source i with prompt i mod P; with `crossed`, every
    prompt on each of n sources. The last row is the one under test; the rows before it are what it is compared with.
    """

    name: str
    title: str
    prompts_from: Literal["paper", "released code", "ours"]
    prompts: tuple[Prompt, ...]
    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    kind: Literal["edits", "masks", "strength", "sequential", "time", "photos"] = "edits"
    n: Count = 64
    crossed: bool = False  # then figures are means over prompts, and each prompt has figures of its own
    in_all: bool = True  # whether --table all runs it
    paper_n: Count = 10000  # per prompt, with --paper: every prompt on every source
    strengths: tuple[Strength, ...] = ()  # of kind "strength": each edit is made with all of them
    by_prompt: tuple[str, ...] = ()  # metrics that are shown of every row, prompt by prompt
    beside: tuple[str, ...] = ()  # names of protocols that --table brings along with this one
    sheet: Literal["samples", "rows"] = "samples"  # samples of the last row in full, or the edits of every row
    # Of kind "strength": a second table compares the rows where the judge's probability has risen by so much.
    matched: Figure | None = None
    tests: tuple[str, ...] = ()  # metrics by which the last row is tested (one-sided) against the others
    paper: dict[str, dict[str, Figure]] = field(default_factory=dict)  # row or method of the paper -> metric -> number
    goals: tuple[Goal, ...] = ()  # only of a crossed protocol
    quality: Quality = "good"  # of kind "photos": how long their inversions are refined
    # What other papers printed: method and where -> column -> number, in a table of its own beside this one.
    printed: dict[str, dict[str, Figure]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what the table cannot tell

    def __post_init__(self):
        configs.check_name(self.name, "the name of a protocol")
        for name in (*self.metrics, *self.tests, *self.by_prompt, *(goal.metric for goal in self.goals)):
            METRICS.get(name)
        for prompt in self.prompts:
            for region in prompt.regions:
                class_ids(region)
        labels = [row.label for row in self.rows]
        if len(set(labels)) < len(labels) or not self.prompts or not self.rows or self.n < 1:
            raise ValueError(f"protocol '{self.name}' needs prompts, rows with different labels and n of at least 1")
        if (self.kind == "strength") != bool(self.strengths):
            raise ValueError(f"protocol '{self.name}': strengths belong to kind 'strength', and that needs them")
        texts = [prompt.text for prompt in self.prompts]
        if len(set(texts)) < len(texts):
            raise ValueError(f"protocol '{self.name}' names a prompt twice")
        tags = {tag for prompt in self.prompts for tag in prompt.tags}
        if strange := {row.tag for row in self.rows} - tags - {None}:
            raise ValueError(f"protocol '{self.name}' has a row for {strange}, but no prompt with such a tag")
        if not self.crossed and any(row.tag for row in self.rows):
            raise ValueError(f"protocol '{self.name}' has a row of some prompts only; set crossed=true")
        if not self.crossed and self.matched is not None:
            raise ValueError(f"protocol '{self.name}' compares rows at the same rise over prompts; set crossed=true")
        if strange := {goal.tag for goal in self.goals} - tags - {None}:
            raise ValueError(f"protocol '{self.name}' has a goal for {strange}, but no prompt with such a tag")


def names() -> list[str]:
    """The names of all protocols: the paper's tables, then ours."""
    found = (path.stem for path in assets.shipped(FOLDER).glob("*.yaml"))
    return sorted(found, key=lambda name: (not name.startswith("table"), name))


def load(name: str | Path) -> Protocol:
    """A protocol by name ("table1"), number ("1") or path. Raises ValueError with the nearest known name."""
    path = Path(name)
    if path.suffix != ".yaml":
        known = names()
        stem = f"table{name}" if str(name).isdecimal() else str(name)
        if stem not in known:
            raise ValueError(f"unknown table '{name}'; {nearest(stem, known)}")
        path = assets.shipped(FOLDER) / f"{stem}.yaml"
    return configs.load(Protocol, manifest.found(path))


def select(tables: list[str]) -> list[Protocol]:
    """The protocols that --table names, with those that they bring along; "all" stands for every one with `in_all`.

    Raises ValueError for an unknown table.
    """
    whole = [protocol for protocol in map(load, names()) if protocol.in_all] if "all" in tables else []
    named = [load(name) for name in dict.fromkeys(tables) if name != "all"]
    named = [each for protocol in named for each in (protocol, *map(load, protocol.beside))]
    return list({protocol.name: protocol for protocol in whole + named}.values())


def only_rows(chosen: list[Protocol], labels: list[str]) -> list[Protocol]:
    """The protocols with the rows of these labels, without those that have none; all as they are where none is named.

    Raises ValueError for a label that none of them has.
    """
    if not labels:
        return chosen
    known = {row.label for protocol in chosen for row in protocol.rows}
    if unknown := [label for label in labels if label not in known]:
        names = " and ".join(f"'{protocol.name}'" for protocol in chosen)
        raise ValueError(f"table {names} has no row '{unknown[0]}'; {nearest(unknown[0], known)}")
    kept = [(protocol, tuple(row for row in protocol.rows if row.label in labels)) for protocol in chosen]
    return [replace(protocol, rows=rows) for protocol, rows in kept if rows]


def asked_of(protocol: Protocol, row: Row) -> tuple[Prompt, ...]:
    """The prompts of a protocol that a row edits by."""
    return tuple(prompt for prompt in protocol.prompts if row.tag is None or row.tag in prompt.tags)
