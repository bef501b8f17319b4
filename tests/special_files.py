"""Paths that are no files to read, and what a refusal looks like."""

import os
from pathlib import Path

import pytest

MOST_LETTERS = 300  # of the sentence of an error


def refused(call, *said):
    """Call it, and return the sentence of the ValueError; it is one line, short, and holds the words `said`."""
    with pytest.raises(ValueError) as error:
        call()
    sentence = str(error.value)
    assert len(sentence.splitlines()) == 1 and len(sentence) <= MOST_LETTERS, sentence
    assert all(word in sentence for word in said), sentence
    return sentence


def _pipe(path):
    os.mkfifo(path)


def _sparse(path):
    with path.open("wb") as file:
        file.truncate(20 * 10**9)


def _linked(make):
    def link(path):
        target = path.with_name("target")
        make(target)
        path.symlink_to(target)

    return link


# Name of the case -> what puts it at a path, and a word of the sentence that refuses it.
SPECIAL = {
    "absent": (lambda path: None, "at"),
    "folder": (Path.mkdir, "it is a folder"),
    "pipe": (_pipe, "it is a pipe"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "sparse": (_sparse, "MB"),
    "link to a folder": (_linked(Path.mkdir), "it is a folder"),
    "link to a pipe": (_linked(_pipe), "it is a pipe"),
    "link to a sparse file": (_linked(_sparse), "MB"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "at"),
    "link to itself": (lambda path: path.symlink_to(path), "at"),
}
# Paths that no file can have.
IMPOSSIBLE = {"a null": "a\0b.png", "too long": "x" * 5000 + ".png"}
