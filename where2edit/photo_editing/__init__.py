"""Edits of photos: their faces as sources of an editor, and what becomes of the photo."""
