"""Mapping modules (Eq. 1-2): styles of the source and an embedding -> styles of the edit; each registers itself."""

from where2edit.core.registry import Registry

MAPPERS = Registry("mapper", "where2edit.editing.mappers")
