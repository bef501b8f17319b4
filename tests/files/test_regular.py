"""The one door: whatever is no regular file of a plausible size is refused at once, in one sentence."""

import os
import socket

import pytest

from where2edit.files.regular import SHOWN, regular_file, shown

MOST = 1000


def fifo(path):
    os.mkfifo(path)


def sparse(path):
    with path.open("wb") as file:
        file.truncate(20 * 10**9)


def listening(path):
    socket.socket(socket.AF_UNIX).bind(str(path))


HOSTILE = {
    "missing": (lambda path: None, "no weights at [^:]*odd; give another"),
    "folder": (lambda path: path.mkdir(), "it is a folder"),
    "pipe": (fifo, "it is a pipe"),
    "socket": (listening, "it is a socket"),
    "sparse": (sparse, r"it has 20,000\.0 MB, at most 0\.0 MB"),
    "one byte too many": (lambda path: path.write_bytes(bytes(MOST + 1)), "MB are read"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "link to a folder": (lambda path: path.symlink_to(path.parent), "it is a folder"),
    "link to itself": (lambda path: path.symlink_to(path), "no weights at"),
    "link to nothing": (lambda path: path.symlink_to(path.with_name("gone")), "no weights at"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_file_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    make, words = HOSTILE[case]
    make(path := tmp_path.relative_to(tmp_path) / "odd")
    with pytest.raises(ValueError, match=words) as caught:
        regular_file(path, "weights", MOST, "give another")
    assert str(caught.value).endswith("; give another") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "", "a\nb\x1b[31m"])
def test_names_that_no_file_has_are_one_short_sentence(name):
    with pytest.raises(ValueError, match="no weights at") as caught:
        regular_file(name, "weights", MOST)
    assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, MOST])
def test_a_file_is_found_also_by_a_link(size, tmp_path):
    (tmp_path / "file").write_bytes(bytes(size))
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert regular_file(str(tmp_path / "file"), "weights", MOST) == tmp_path / "file"
    assert regular_file(tmp_path / "link", "weights", MOST) == tmp_path / "link"


def test_long_paths_lose_their_middle():
    assert (
        shown("short") == "short"
        and len(shown("y" * 400 + "end")) == SHOWN
        and shown("y" * 400 + "end").endswith("end")
    )
