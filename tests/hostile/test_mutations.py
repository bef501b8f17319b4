"""Files with random damage: every reader gives values or one sentence, whatever bytes it meets."""

import pickle
import random
import struct
import time
import zipfile

import numpy as np
import official_files as official
import pytest
import torch

from where2edit.editor.latents import load_latent
from where2edit.files import tensorfile
from where2edit.files.formats import readers, safe_pickle
from where2edit.files.formats.pickled_arrays import numpy_makers
from where2edit.files.formats.pickled_values import Record
from where2edit.files.formats.protobuf import read_frozen_graph, read_onnx
from where2edit.files.tensor_checks import checked

FEW, MANY = 300, 20_000  # damaged files of each format
SECONDS = 5  # that one of them may take


def tree():
    draw = torch.Generator().manual_seed(0)
    return {
        "a": torch.randn(4, 3, generator=draw),
        "b": {"c": torch.arange(5), "d": [1, 2.5, "text", None]},
        "epoch": 3,
    }


def arrays():
    return {
        "a": np.arange(6.0).reshape(2, 3),
        "b": [np.float32(2), (1, 2)],
        "c": {"kernel": np.ones((2, 2), np.float32)},
    }


def field(number, content):
    """One field of a protocol buffer: a number, or bytes with their length."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def onnx():
    tensor = field(1, 2) + field(1, 3) + field(2, 1) + field(8, b"weight") + field(9, np.ones(6, np.float32).tobytes())
    attribute = field(1, b"pads") + field(8, b"\1\1\1\1")
    node = field(1, b"x") + field(1, b"weight") + field(2, b"y") + field(4, b"Conv") + field(5, attribute)
    return field(7, field(1, node) + field(5, tensor))


def frozen_graph():
    shape = field(2, field(2, field(1, 2)) + field(2, field(1, 3)))
    tensor = field(1, 1) + shape + field(4, np.ones(6, np.float32).tobytes())
    attribute = field(1, b"value") + field(2, field(8, tensor))
    return field(1, field(1, b"weight") + field(2, b"Const") + field(5, attribute))


def zipped(folder):
    torch.save(tree(), folder / "good")


def older(folder):
    torch.save(tree(), folder / "good", _use_new_zipfile_serialization=False)


def nvidia(folder, monkeypatch):
    parameters = {"mapping.fc0.weight": torch.ones(3, 2), "synthesis.b4.const": torch.ones(2)}
    official.write_nvidia(folder / "good", parameters, {"mapping.w_avg": torch.zeros(2)}, monkeypatch)


def script(folder):
    """The layout of TorchScript: an object of the archive's own class around tensors."""
    torch.save(tree(), folder / "plain")
    with zipfile.ZipFile(folder / "plain") as old, zipfile.ZipFile(folder / "good", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            inside = b"\x80\x02c__torch__\nNet\n)\x81" + data[2:-1] + b"b."
            new.writestr(name, inside if name.endswith("data.pkl") else data)
        new.writestr("plain/constants.pkl", b"N.")


def pickled(protocol):
    return lambda folder: (folder / "good").write_bytes(pickle.dumps(arrays(), protocol))


def written(content):
    return lambda folder: (folder / "good").write_bytes(content())


def touch(found):
    """Look at every number of what was read."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, Record):
        found = [value for _, value in found.members()]
    if isinstance(found, list | tuple):
        for value in found:
            touch(value)
    if isinstance(found, np.ndarray):
        found = torch.from_numpy(np.ascontiguousarray(found))
    if isinstance(found, torch.Tensor) and not found.is_complex():
        checked(found, "x", "file", finite=False)
        assert found.numel() == 0 or found.flatten()[-1].item() is not None


FORMATS = {  # what writes a good file, and what reads a damaged one
    "pickle of protocol 0": (pickled(0), lambda path: safe_pickle.load(path, numpy_makers())),
    "pickle of protocol 2": (pickled(2), lambda path: safe_pickle.load(path, numpy_makers())),
    "pickle of protocol 5": (pickled(5), lambda path: safe_pickle.load(path, numpy_makers())),
    "torch archive": (zipped, readers.read_checkpoint),
    "torch before 1.6": (older, readers.read_checkpoint),
    "pickle of NVIDIA": (nvidia, readers.read_nvidia_pickle),
    "TorchScript": (script, lambda path: readers.is_torchscript(path) and readers.read_torchscript(path)),
    "safetensors": (
        lambda folder: tensorfile.write(folder / "good", {"a": torch.ones(4, 3)}, "editor", {"config": "{}"}),
        lambda path: tensorfile.read(path, finite=False),
    ),
    "npy": (lambda folder: np.save((folder / "good").open("wb"), np.ones((18, 512), np.float32)), load_latent),
    "npz": (lambda folder: np.savez((folder / "good").open("wb"), w=np.ones((1, 512), np.float32)), load_latent),
    "ONNX": (written(onnx), read_onnx),
    "TensorFlow graph": (written(frozen_graph), read_frozen_graph),
}


def damaged(data, draw):
    """The bytes with one to four random changes."""
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at, length = draw.randrange(len(data) or 1), draw.choice((1, 1, 2, 4, 8, 40))
        other = draw.randrange(len(data) or 1)
        match draw.randrange(7):
            case 0:
                data[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                data[at : at + 1] = bytes([data[at] ^ 1 << draw.randrange(8)] if data else b"")
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = draw.randbytes(length)
            case 4:
                data[at:at] = data[other : other + length]
            case 5:
                data[at : at + length] = data[other : other + length]
            case 6:
                data[at : at + 4] = struct.pack(
                    "<I", draw.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << draw.randrange(32)))
                )
    return bytes(data) if draw.random() > 0.02 else bytes(data[: draw.randrange(len(data) + 1)])


def damaged_inside(path, draw):
    """The archive with one damaged member, whose checksum is right again."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    pickles = [name for name in members if name.endswith((".pkl", ".npy"))]
    name = draw.choice(pickles if draw.random() < 0.8 else list(members))
    members[name] = damaged(members[name], draw)
    with zipfile.ZipFile(path.with_name("bad"), "w") as new:
        for member, data in members.items():
            new.writestr(member, data)


def outcomes(name, count, folder, monkeypatch):
    """How many of `count` damaged files are read and refused; anything but a sentence is an error."""
    write, read = FORMATS[name]
    write(folder, monkeypatch) if name == "pickle of NVIDIA" else write(folder)
    good, bad = folder / "good", folder / "bad"
    touch(read(good))
    data, seen = good.read_bytes(), {"read": 0, "refused": 0}
    for i in range(count):
        draw = random.Random(f"{name} {i}")
        if data.startswith(b"PK") and i % 4:
            damaged_inside(good, draw)
        else:
            bad.write_bytes(damaged(data, draw))
        begin = time.process_time()
        try:
            touch(read(bad))
            seen["read"] += 1
        except ValueError as error:
            assert "\n" not in str(error), f"{name} {i}"
            seen["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{name} {i}: {type(error).__name__}: {error}") from error
        assert time.process_time() - begin < SECONDS, f"{name} {i} took too long"
    return seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_read_or_refused_in_a_sentence(name, tmp_path, monkeypatch):
    seen = outcomes(name, FEW, tmp_path, monkeypatch)
    assert seen["refused"] > FEW / 10, seen


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage_is_read_or_refused_in_a_sentence(name, tmp_path, monkeypatch):
    seen = outcomes(name, MANY, tmp_path, monkeypatch)
    assert seen["refused"] > MANY / 10, seen
