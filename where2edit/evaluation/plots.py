"""Plots of a report: what strength gains and costs, over all prompts and for each, and mask IoU of every prompt."""

from __future__ import annotations

import io
from pathlib import Path

from where2edit.evaluation.figures import by_prompt, read_metrics
from where2edit.evaluation.matched import RISE, curves
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.table import Figure, PlannedTable, Table
from where2edit.files.atomic import write_bytes

NATURAL = ("judge_after", "kid_vs_natural")  # x and y of the curves of prompts
FLOOR = "kid_vs_natural_floor"
UNASKED = "judge_unasked"  # x of the curves of matched rows
COLUMNS = 5  # of small multiples


def empty_figure(width: float = 6, height: float = 4):
    """An empty figure that needs no display and always looks the same."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path: Path) -> Path:
    """Write a plot as PNG; without the writer's name, so that the same numbers give the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return write_bytes(path, buffer.getvalue())


def strength_curves(figures: list[Figure], path: Path) -> Path:
    """One curve per row: mean difference outside the region against the gain of the cosine, over strengths."""
    value = {(f.row, f.strength, f.metric): f.interval.value for f in figures if f.prompt is None and f.interval}
    figure = empty_figure()
    axes = figure.add_subplot()
    for row in dict.fromkeys(f.row for f in figures):
        points = []
        for strength in dict.fromkeys(f.strength for f in figures if f.row == row):
            keys = ("difference_outside_region", "cosine_after_train_encoder", "cosine_before_train_encoder")
            if all((row, strength, key) in value for key in keys):
                x, after, before = (value[row, strength, key] for key in keys)
                points.append((x, after - before, strength))
        axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", label=row)
        for x, y, strength in points if len({point[:2] for point in points}) > 1 else ():
            axes.annotate(f"{strength:g}", (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7)
    axes.set_xlabel("mean difference outside the region")
    axes.set_ylabel("gain of the cosine to the prompt")
    axes.legend()
    return save_figure(figure, path)


def matched_curves(table: Table, path: Path) -> Path:
    """All rows in one picture: what else changes, by the judge, against the judge's rise, over strengths."""
    from matplotlib import colormaps, cycler

    figure = empty_figure(7, 5)
    axes = figure.add_subplot()
    # The colours of matplotlib, then again with broken lines: more rows than colours.
    axes.set_prop_cycle(cycler(linestyle=("-", "--", ":")) * cycler(color=colormaps["tab10"].colors))
    tested = table.protocol.rows[-1].label
    for label, curve in curves(table).items():
        points = [(each[UNASKED], each[RISE]) for each in curve.values() if UNASKED in each]
        own = {"color": "black", "linestyle": "-", "linewidth": 2.5} if label == tested else {}
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=label, **own)
    axes.axhline(table.protocol.matched, color="0.6", linestyle=":", label="compared here")
    axes.set_xlabel("mean change of the judge's probabilities that was not asked for")
    axes.set_ylabel("mean rise of the judge's probability that was asked for")
    axes.legend(fontsize=7)
    return save_figure(figure, path)


def prompt_curves(figures: list[Figure], path: Path) -> Path | None:
    """Small multiples, one for each prompt: KID to natural examples against the judge's probability, over strengths.

    The band is what natural examples themselves score. None where no prompt has such a figure.
    """
    found = {(f.prompt, f.row, f.strength, f.metric): f.interval for f in figures if f.prompt and f.interval}
    prompts = list(dict.fromkeys(prompt for prompt, _, _, metric in found if metric == NATURAL[1]))
    if not prompts:
        return None
    height = -(-len(prompts) // COLUMNS)
    figure = empty_figure(2.6 * COLUMNS, 2.2 * height + 0.6)
    grid = figure.subplots(height, COLUMNS, squeeze=False).flat
    for axes, prompt in zip(grid, prompts, strict=False):
        _prompt_curve(axes, {key[1:]: interval for key, interval in found.items() if key[0] == prompt})
        axes.set_title(prompt, fontsize=8)
        axes.tick_params(labelsize=6)
    for axes in grid[len(prompts) :]:
        axes.remove()
    figure.supxlabel("probability of the attribute, by the judge", fontsize=8)
    figure.supylabel("KID to natural examples", fontsize=8)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
    return save_figure(figure, path)


def _prompt_curve(axes, found: dict[tuple[str, float | None, str], Interval]) -> None:
    """One curve per row into the axes of a prompt; found: interval of each (row, strength, metric)."""
    for row in dict.fromkeys(row for row, _, _ in found):
        points = []
        for strength in dict.fromkeys(s for name, s, _ in found if name == row):
            pair = [found.get((row, strength, metric)) for metric in NATURAL]
            if all(pair):
                points.append((pair[0].value, pair[1].value, strength))
        axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", markersize=3, label=row)
        for x, y, strength in points if len({point[:2] for point in points}) > 1 else ():
            axes.annotate(f"{strength:g}", (x, y), textcoords="offset points", xytext=(3, 3), fontsize=5)
    floor = next((interval for (_, _, metric), interval in found.items() if metric == FLOOR), None)
    if floor:
        axes.axhspan(floor.low, floor.high, color="0.85", label="natural examples")
    axes.set_xlim(-0.05, 1.05)


def region_bars(runner: ProtocolRunner, table: PlannedTable, path: Path) -> Path:
    """Mask IoU of every prompt, one group of bars per row."""
    figure = empty_figure()
    axes = figure.add_subplot()
    protocol = table.protocol
    width = 0.8 / len(table.rows)
    for number, row in enumerate(table.rows):
        metric = read_metrics(runner, table, row)[None]["mask_iou"]
        found = by_prompt(metric, protocol).values()
        heights = [part.compute() if len(part.valid_values()) else 0.0 for part in found]
        axes.bar([i + number * width for i in range(len(heights))], heights, width, label=row.label)
    axes.set_xticks([i + 0.4 - width / 2 for i in range(len(protocol.prompts))])
    axes.set_xticklabels([prompt.text for prompt in protocol.prompts], rotation=30, ha="right", fontsize=7)
    axes.set_ylabel("mask IoU")
    axes.legend(fontsize=7)
    return save_figure(figure, path)
