"""Frozen protocols: which prompts, which samples, which metrics; one command runs them and writes the report."""
