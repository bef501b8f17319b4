"""What scripts/benchmark_ops.py measures: operations, whole syntheses, and what each kind of convolution leaks."""
