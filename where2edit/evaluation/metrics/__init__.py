"""Metrics, one file for each kind; a class registers itself, and the contract tests of metrics then run over it."""

from where2edit.core.registry import Registry

METRICS = Registry("metric", "where2edit.evaluation.metrics")
