"""Attention modules (Eq. 3): features of the source and an embedding -> where to edit; each registers itself."""

from where2edit.core.registry import Registry

ATTENTIONS = Registry("attention", "where2edit.editing.attention")
