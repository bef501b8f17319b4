"""What scripts/benchmark.py measures: edits, training steps, the clustering, operations."""
