"""Metrics, one file each; a file registers itself and is put through tests/test_metric_contracts.py by that alone."""

from where2edit.registry import Registry

METRICS = Registry("metric", "where2edit.metrics")
