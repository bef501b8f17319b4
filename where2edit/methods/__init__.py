"""Editing methods; each file registers itself and reads alone."""

from where2edit.core.registry import Registry

METHODS = Registry("method", "where2edit.methods")
