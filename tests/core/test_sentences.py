"""Lines of processes that print at the same time stay whole."""

import io
import sys

from where2edit.core.sentences import print_line


class Raw(io.RawIOBase):
    """A file that keeps what every single write brought."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def writable(self):
        return True

    def write(self, data):
        self.writes.append(bytes(data))
        return len(data)


def test_a_line_and_its_end_are_one_write(monkeypatch):
    raw = Raw()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, write_through=True))  # as `python -u` opens it
    print_line("chunk 1 of 2")
    print_line("chunk 2 of 2")
    assert [w for w in raw.writes if w] == [b"chunk 1 of 2\n", b"chunk 2 of 2\n"]


def test_where_it_goes(capsys, monkeypatch):
    print_line("to people", sys.stderr)
    assert capsys.readouterr() == ("", "to people\n")
    monkeypatch.setattr(sys, "stdout", None)  # closed before Python began
    print_line("to nobody")
