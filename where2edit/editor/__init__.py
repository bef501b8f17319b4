"""The Python API: the profile (the whole config), what is built from it, the Editor with its sessions, and recipes."""

from where2edit.editor.editor import Editor
from where2edit.editor.session import Result, Session
from where2edit.editor.steps import Step

__all__ = ["Editor", "Result", "Session", "Step"]
