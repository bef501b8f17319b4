"""Fingerprints keep the values that stand in reports and weights, and ask the right checkout for its commit."""

import hashlib
import subprocess
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from where2edit.files import fingerprints


@dataclass(frozen=True)
class Section:
    name: str = "x"
    ends: tuple[float, ...] = (0.0, 1.0)


def test_a_file_and_a_file_that_is_not_there(tmp_path):
    (tmp_path / "file").write_bytes(b"0" * (fingerprints.BLOCK + 1))
    assert fingerprints.file_sha256(tmp_path / "file") == hashlib.sha256(b"0" * (fingerprints.BLOCK + 1)).hexdigest()
    assert fingerprints.file_sha256(tmp_path / "absent", absent="") == "" == fingerprints.file_sha256("", absent="")
    with pytest.raises(OSError):
        fingerprints.file_sha256(tmp_path / "absent")


def test_digests_are_the_first_12_digits_of_sorted_json():
    tree = {"b": [1, 2.5], "a": None}
    expected = hashlib.sha256(b'{"a": null, "b": [1, 2.5]}').hexdigest()[:12]
    assert fingerprints.digest(tree) == expected == fingerprints.digest(dict(reversed(tree.items())))
    assert fingerprints.config_digest(Section()) == fingerprints.digest({"name": "x", "ends": [0.0, 1.0]})


def test_a_network_is_known_by_its_names_and_tensors():
    net = nn.Linear(2, 1)
    parts = b"".join(k.encode() + v.detach().numpy().tobytes() for k, v in sorted(net.state_dict().items()))
    assert fingerprints.network_sha256(net) == hashlib.sha256(parts).hexdigest()
    before = fingerprints.network_sha256(net)
    with torch.no_grad():
        net.weight[0, 0] += 1
    assert fingerprints.network_sha256(net) != before
    assert fingerprints.network_sha256("no network") == hashlib.sha256(b"").hexdigest()


def test_the_commit_is_that_of_this_code_wherever_one_stands(tmp_path, monkeypatch):
    here = fingerprints.commit()
    assert here == "" or (len(here) == 40 and here.startswith(fingerprints.commit(short=True)))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "another"], check=True)
    monkeypatch.chdir(tmp_path)
    assert fingerprints.commit() == here
    # Installed below somebody's checkout the package is not that checkout's code.
    monkeypatch.setattr(fingerprints, "__file__", str(tmp_path / "venv/site-packages/where2edit/files/fingerprints.py"))
    (tmp_path / "venv/site-packages").mkdir(parents=True)
    assert fingerprints.commit() == ""
