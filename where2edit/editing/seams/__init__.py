"""Seams: how edited and source canvas meet at the rim of the mask, before they are mixed; each registers itself."""

from where2edit.core.registry import Registry

SEAMS = Registry("seam", "where2edit.editing.seams")
