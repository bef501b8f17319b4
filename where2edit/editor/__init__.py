"""The Python API: the profile (the whole config), what is built from it, the Editor and its recipes."""

from where2edit.editor.editor import Editor, Result, Step

__all__ = ["Editor", "Result", "Step"]
