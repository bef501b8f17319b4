"""Captions, attribute tables and folders from outside, as editors, spreadsheets and systems leave them."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from special_files import IMPOSSIBLE, SPECIAL, refused

from where2edit.evaluation.networks import MetricNetworks, real_features
from where2edit.facetext import celeba
from where2edit.facetext.celeba import ATTRIBUTES, read_attributes
from where2edit.files.folders import list_pictures, readable_images, visible_files
from where2edit.files.texts import read_table, read_text
from where2edit.training.prompts import read_phrases

TEXT = "Blond hair, café glasses.\nA naïve smile – “big”.\n"
MARK = b"\xef\xbb\xbf"
READ = {
    "UTF-8": TEXT.encode(),
    "byte-order mark": MARK + TEXT.encode(),
    "Windows lines": TEXT.replace("\n", "\r\n").encode(),
    "mark and Windows lines": MARK + TEXT.replace("\n", "\r\n").encode(),
    "old Mac lines": TEXT.replace("\n", "\r").encode(),
    "no last line end": TEXT.rstrip().encode(),
    "Western European": TEXT.encode("cp1252"),
    "Latin-1": TEXT.replace("–", "-").replace("“", '"').replace("”", '"').encode("latin-1"),
}


@pytest.mark.filterwarnings("ignore:texts in .* that are not UTF-8")
@pytest.mark.parametrize("case", READ)
def test_captions_are_read_as_they_were_written(case, tmp_path):
    (tmp_path / "0.txt").write_bytes(READ[case])
    lines = [line.strip() for line in read_text(tmp_path / "0.txt").splitlines() if line.strip()]
    assert lines[0] == "Blond hair, café glasses." and lines[1].startswith("A naïve smile")
    assert set(read_phrases(tmp_path, 0)) <= {"Blond hair", "café glasses", *lines, lines[1].rstrip(".")}


def test_what_is_not_utf_8_is_said_once_for_a_folder(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.txt").write_bytes(READ["Latin-1"])
    with pytest.warns(UserWarning) as said:
        read_phrases(tmp_path, 0)
    assert {str(each.message) for each in said} == {
        f"texts in {tmp_path} that are not UTF-8 are read as Western European (cp1252)"
    }


def test_nothing_is_no_text_and_no_error(tmp_path):
    (tmp_path / "0.txt").write_bytes(b"")
    (tmp_path / "1.txt").write_bytes(MARK)
    assert read_text(tmp_path / "0.txt") == read_text(tmp_path / "1.txt") == ""


NO_TEXT = {
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16, big": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "UTF-32": TEXT.encode("utf-32"),
    "picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20),
    "zeros": bytes(100),
    "a null": b"blond\0hair",
}


@pytest.mark.parametrize("case", NO_TEXT)
def test_what_is_no_text_is_refused(case, tmp_path):
    (tmp_path / "0.txt").write_bytes(NO_TEXT[case])
    for read in (lambda: read_text(tmp_path / "0.txt", "note"), lambda: read_phrases(tmp_path)):
        refused(read, "0.txt is not UTF-8 text", "save it as plain text in UTF-8")
    refused(lambda: read_attributes(tmp_path / "0.txt"), "0.txt is not UTF-8 text")


READERS = {"text": read_text, "table": read_table, "attributes": read_attributes}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_no_file_is_refused_at_once(case, reader, tmp_path):
    make, said = SPECIAL[case]
    make(tmp_path / "x.csv")
    refused(lambda: READERS[reader](tmp_path / "x.csv"), said)


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_no_file_can_be_called_is_refused(case):
    refused(lambda: read_text(IMPOSSIBLE[case]), "at")


HEAD = ["image", *ATTRIBUTES]
ROWS = [[f"{i:06d}.jpg", *(str((i + j) % 2) for j in range(40))] for i in range(1, 13)]
SIGNED = [[row[0], *(value.replace("0", "-1") for value in row[1:])] for row in ROWS]


def table(separator=",", rows=ROWS, head=HEAD, quote="", end="\n"):
    lines = [separator.join(f"{quote}{value}{quote}" for value in row) for row in [head, *rows]]
    return end.join(lines) + end


def official(gap=" ", end="\n"):
    """CelebA's own list: the number of rows, names of the attributes, and rows between spaces."""
    rows = (row[0] + "".join(f"{gap if value[0] == '-' else 2 * gap}{value}" for value in row[1:]) for row in SIGNED)
    return end.join([str(len(ROWS)), " ".join(ATTRIBUTES) + " ", *rows]) + end


TABLES = {
    "comma": table(),
    "semicolon": table(";"),
    "tab": table("\t"),
    "quotes": table(quote='"'),
    "quotes and semicolon": table(";", quote='"'),
    "-1 and 1": table(rows=SIGNED),
    "Windows lines": table(end="\r\n"),
    "old Mac lines": table(end="\r"),
    "told by Excel": "sep=;\n" + table(";"),
    "empty lines": "\n" + table(end="\n\n") + "\n\n",
    "spaces around": table(", ", rows=SIGNED),
    "column of a copy": table(head=["image_id", *ATTRIBUTES]),
    "other order": table(head=[*ATTRIBUTES[::-1], "image"], rows=[row[::-1] for row in ROWS]),
    "one more column": table(head=[*HEAD, "split"], rows=[[*row, "train"] for row in ROWS]),
    "CelebA's own": official(),
    "CelebA's own, Windows lines": official(end="\r\n"),
    "CelebA's own, tabs": official().replace("  ", " ").replace(" \n", "\n").replace(" ", "\t"),
}


@pytest.mark.parametrize("mark", [b"", MARK], ids=["", "mark"])
@pytest.mark.parametrize("case", TABLES)
def test_a_table_is_read_however_it_was_saved(case, mark, tmp_path):
    (tmp_path / "a.csv").write_bytes(mark + TABLES[case].encode())
    found = read_attributes(tmp_path / "a.csv")
    assert found.names == tuple(row[0] for row in ROWS)
    assert found.values.tolist() == [[int(value) for value in row[1:]] for row in ROWS]


WRONG = {
    "nothing": ("", "lacks the columns image"),
    "head alone": (table(rows=[]), "lacks the columns image"),
    "text": ("blond hair\na smile\n", "lacks the columns image"),
    "other columns": ("image,Bald\n1.png,0\n", "lacks the columns 5_o_Clock_Shadow"),
    "no names": (table(head=["name", *ATTRIBUTES]), "lacks the columns image"),
    "short row": (table(rows=[*ROWS, ROWS[0][:-1]]), "row 13 of", "has 40 values, its head has 41"),
    "long row": (table(rows=[ROWS[0], [*ROWS[1], "1"]]), "row 2 of", "has 42 values"),
    "cut row": (table()[:-20], "row 12 of"),
    "words": (table(rows=[["a.jpg", *["yes"] * 40]]), "no integer; 0/1 or -1/1"),
    "gaps": (table(rows=[["a.jpg", *[""] * 40]]), "no integer"),
    "other numbers": (table(rows=[["a.jpg", *["2"] * 40]]), "other than -1, 0 and 1"),
    "large numbers": (table(rows=[["a.jpg", *["9" * 30] * 40]]), "a.csv holds"),
    "very large numbers": (table(rows=[["a.jpg", *["9" * 5000] * 40]]), "no integer"),
    "open quote": (table() + '"', "cannot be read as a table"),
    "huge value": (table(rows=[["x" * 200_000, *["1"] * 40]]), "cannot be read as a table"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_is_refused_in_one_sentence(case, tmp_path):
    text, *said = WRONG[case]
    (tmp_path / "a.csv").write_text(text)
    refused(lambda: read_attributes(tmp_path / "a.csv"), "a.csv", *said)


def draw(path, colour=0, size=16, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (colour, 0, 0)).save(path, **options)
    return path


def folder(tmp_path):
    """Pictures of all kinds, and what lies between them on people's disks."""
    for name in ("b.png", "A.JPG", "c.jpeg", "d.webp", "e.bmp", "f.tif", "below/g.TIFF", "h.gif"):
        draw(tmp_path / name)
    for name in ("._b.png", ".DS_Store", ".thumbnails/t.png", "below/._g.tiff", ".hidden.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7Mac OS X")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_pictures_of_all_kinds_are_listed_and_nothing_hidden(tmp_path):
    found = list_pictures(folder(tmp_path))
    names = ["A.JPG", "b.png", "below/g.TIFF", "c.jpeg", "d.webp", "e.bmp", "f.tif", "h.gif"]
    assert [str(path.relative_to(tmp_path)) for path in found] == names
    assert len(list(readable_images(found))) == 8


def test_what_is_left_out_for_its_name_is_said_so(tmp_path):
    draw(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"ftypheic")
    with pytest.warns(UserWarning, match="1 of 2 files in .* are left out, such as b.heic; pictures end in .png"):
        assert len(list_pictures(tmp_path)) == 1


@pytest.mark.parametrize("place", ["absent", "file"])
def test_no_folder_holds_nothing(place, tmp_path):
    (tmp_path / "file").write_text("x")
    assert visible_files(tmp_path / place) == []
    refused(lambda: real_features(tmp_path / place, networks(), tmp_path / "cache"), "holds 0 pictures")


def test_hidden_captions_are_passed_over(tmp_path):
    (tmp_path / "0.txt").write_text("a smile")
    (tmp_path / "._0.txt").write_bytes(b"\0\5\x16\7")
    assert set(read_phrases(tmp_path)) == {"a smile"}


def networks(seen=None):
    """An Inception whose features are the mean colour; it counts what it sees."""

    def inception(image):
        if seen is not None:
            seen.append(image.shape)
        return image.mean((2, 3)).repeat(1, 2)

    return MetricNetworks({"inception": inception})


def test_one_broken_picture_is_named_and_the_others_count(tmp_path):
    for number in range(4):
        draw(tmp_path / f"real/{number}.png", 60 * number)
    whole = (tmp_path / "real/1.png").read_bytes()
    (tmp_path / "real/1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "real/text.jpg").write_text("no picture")
    with pytest.warns(UserWarning, match="left out: ") as said:
        found = real_features(tmp_path / "real", networks(), tmp_path / "cache")
    assert len(found) == 3 and sorted(str(each.message).split(" cannot")[0][-8:] for each in said) == [
        "al/1.png",
        "text.jpg",
    ]


def test_fewer_than_two_pictures_are_refused_and_nothing_is_kept(tmp_path):
    draw(tmp_path / "real/0.png")
    (tmp_path / "real/1.png").write_text("no picture")
    with pytest.warns(UserWarning, match="left out"):
        refused(lambda: real_features(tmp_path / "real", networks(), tmp_path / "cache"), "holds 1 pictures")
    assert not (tmp_path / "cache").exists()


def test_features_belong_to_the_content_of_the_pictures(tmp_path):
    seen = []
    for number in range(3):
        draw(tmp_path / f"real/{number}.bmp", 10 * number)
    first = real_features(tmp_path / "real", networks(seen), tmp_path / "cache")
    assert torch.equal(real_features(tmp_path / "real", networks(seen), tmp_path / "cache"), first) and len(seen) == 3
    before = (tmp_path / "real/1.bmp").stat()
    draw(tmp_path / "real/1.bmp", 200)  # of the same size and time
    os.utime(tmp_path / "real/1.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "real/1.bmp").stat().st_size == before.st_size
    second = real_features(tmp_path / "real", networks(seen), tmp_path / "cache")
    assert len(seen) == 6 and not torch.equal(first, second)
    (tmp_path / "real").rename(tmp_path / "moved")
    assert torch.equal(real_features(tmp_path / "moved", networks(seen), tmp_path / "cache"), second) and len(seen) == 6


def photos(tmp_path, count=12):
    (tmp_path / "a.csv").write_text(table(rows=ROWS[:count]))
    for number, row in enumerate(ROWS[:count]):
        pixels = np.full((218, 178, 3), 10 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / row[0], quality=95)
    return tmp_path


def test_a_damaged_photo_of_celeba_is_named_and_its_row_is_never_used(tmp_path):
    data = photos(tmp_path)
    (data / ROWS[4][0]).write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.warns(UserWarning, match=f"left out: .*{ROWS[4][0]} cannot be read as a picture"):
        images, found = celeba.read_photos(data, data / "a.csv", 20)
    assert images.shape == (12, 3, 20, 20) and found.readable.tolist() == [i != 4 for i in range(12)]
    assert celeba.training_rows(found).tolist() == [1, 2, 3, 5, 6, 7, 8, 9, 11]
    assert found.validation().nonzero().flatten().tolist() == [0, 10]
    # The other rows keep their numbers, so that faces of an earlier run stay what they are.
    assert [int(image.float().mean() / 10 + 0.5) for image in images] == [0, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10, 11]


def test_a_missing_photo_of_celeba_is_an_error(tmp_path):
    data = photos(tmp_path, 2)
    (data / ROWS[1][0]).unlink()
    refused(lambda: celeba.read_photos(data, data / "a.csv", 20), f"{ROWS[1][0]}: no such file; --data is the folder")


def test_a_folder_of_broken_photos_is_an_error(tmp_path):
    data = photos(tmp_path, 1)
    (data / ROWS[0][0]).write_text("no picture")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="none of the 1 pictures in"):
        celeba.read_photos(data, data / "a.csv", 20)
