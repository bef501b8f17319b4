"""Training losses (Eq. 4-8 and ours), one file each; each file registers itself."""

from where2edit.core.registry import Registry

LOSSES = Registry("loss", "where2edit.training.losses")
