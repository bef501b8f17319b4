"""Plots of a report: gain of the cosine against change outside the region, and mask IoU of every prompt."""

from __future__ import annotations

from pathlib import Path

from where2edit.evaluation.figures import by_prompt, read_metrics
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.table import Figure, PlannedTable
from where2edit.files.atomic import atomic_write


def _figure():
    """An empty figure that needs no display and always looks the same."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(6, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure, path: Path) -> Path:
    """Write a plot as PNG; without the writer's name, so that the same numbers give the same bytes."""
    with atomic_write(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})
    return path


def strength_curves(figures: list[Figure], path: Path) -> Path:
    """One curve per row: mean difference outside the region against the gain of the cosine, over strengths."""
    value = {(f.row, f.strength, f.metric): f.interval.value for f in figures if f.prompt is None and f.interval}
    figure, axes = _figure()
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
    return _save(figure, path)


def region_bars(runner: ProtocolRunner, table: PlannedTable, path: Path) -> Path:
    """Mask IoU of every prompt, one group of bars per row."""
    figure, axes = _figure()
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
    return _save(figure, path)
