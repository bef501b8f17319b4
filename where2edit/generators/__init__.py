"""Generators with one interface, named sites and one step (base.py); each file registers itself."""

from where2edit.core.registry import Registry

GENERATORS = Registry("generator", "where2edit.generators")
