"""Sheets of edits: what they show, that they repeat, and how they are written."""

import pytest

from where2edit.editor import sheets
from where2edit.editor.editor import Editor


@pytest.fixture(scope="module")
def editor():
    return Editor.load("configs/toy.yaml", ["blending.threshold=0.5"], device="cpu")


def test_contact_sheet(editor, tmp_path):
    page = sheets.contact_sheet(editor, [0, 1], ["blond hair", "red lips"], 32)
    with_masks = sheets.contact_sheet(editor, [0], ["blond hair", "red lips"], 32, masks=True)
    assert page.width > 3 * 32 and page.height > 2 * 32 and with_masks.height > 2 * 32
    assert page.tobytes() == sheets.contact_sheet(editor, [0, 1], ["blond hair", "red lips"], 32).tobytes()
    assert sheets.save_sheet(page, tmp_path / "new" / "a.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert sheets.save_sheet(page, tmp_path / "a.png").is_file()
    with pytest.raises(ValueError, match="a .png or a .jpg"):
        sheets.save_sheet(page, tmp_path / "a.gif")


def test_application_sheets_show_the_edits_of_the_editor(editor):
    cell = 32
    page = sheets.two_prompt_sheet(editor, [0, 1], [("old", "grey hair"), ("a beard", "a smile")], cell)
    assert (
        page.tobytes()
        != sheets.two_prompt_sheet(editor, [0, 1], [("old", "a hat"), ("a beard", "a hat")], cell).tobytes()
    )
    chain = sheets.sequence_sheet(editor, [0, 1], ["blond hair", "red lips", "old"], cell)
    assert chain.width > page.width and chain.height == page.height
    style = sheets.reference_sheet(editor, 0, [2, 3], ["blond hair", "red lips"], cell)
    assert style.tobytes() != sheets.reference_sheet(editor, 0, [2, 4], ["blond hair", "red lips"], cell).tobytes()
