"""Metrics, one file each; a file registers itself, and tests/evaluation/test_metric_contracts.py then runs over it."""

from where2edit.core.registry import Registry

METRICS = Registry("metric", "where2edit.evaluation.metrics")
