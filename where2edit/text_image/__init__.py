"""Joint text-image encoders behind one interface; each file registers itself."""

from where2edit.registry import Registry

TEXT_IMAGE = Registry("text-image encoder", "where2edit.text_image")
