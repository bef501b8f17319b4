"""The evaluation: protocols (prompts, samples, metrics), their measurement on a profile, and the report."""
