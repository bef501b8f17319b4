"""Training of editors: one trainer, its losses, its prompts, and what is fitted before the first step."""
