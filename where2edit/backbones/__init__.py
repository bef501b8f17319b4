"""Frozen third-party networks with their own preprocessing; none is loaded before its `load` is called."""
