"""Seeds as people write them on the command line."""

import pytest

from where2edit.commands.seeds import parse_seeds


def test_seeds_as_people_write_them():
    assert parse_seeds("0-3, 7") == [0, 1, 2, 3, 7] and parse_seeds("5") == [5] and parse_seeds("4-4") == [4]
    for text in ("", "a", "-1", "1-", "3-1", "1,,2", "1.5"):
        with pytest.raises(ValueError, match="seeds '"):
            parse_seeds(text)
