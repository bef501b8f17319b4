"""Generators behind one site/step protocol; each file registers itself."""

from where2edit.core.registry import Registry

GENERATORS = Registry("generator", "where2edit.generators")
