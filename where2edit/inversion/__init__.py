"""Inversion encoders, from a face to a generator's codes, with one interface (base.py); each file registers itself."""

from where2edit.core.registry import Registry

INVERSIONS = Registry("inversion encoder", "where2edit.inversion")
