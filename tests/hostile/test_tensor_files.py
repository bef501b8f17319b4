"""Every loader of tensors meets the same damage: NaN, wrong numbers, wrong names, cut and flipped bytes, no file."""

import json
import os
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
import toy_cases as toy
from safetensors import safe_open
from torch import nn

from where2edit.editing import preview_head
from where2edit.editing.cosine_calibration import CosineCalibration
from where2edit.editing.preview_head import PreviewHead
from where2edit.editing.regions import RegionConfig, Regions
from where2edit.editor.latents import load_latent, save_latent
from where2edit.editor.weights import editor_tensors, load_editor
from where2edit.facetext import packed
from where2edit.facetext.packed import Faces
from where2edit.files import tensorfile
from where2edit.inversion.face_encoder import FaceEncoder
from where2edit.training.state import load_state, save_state

LONGEST = 300  # characters of a sentence


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def write_regions(path):
    Regions(random(3, 20), RegionConfig(k=3, samples=1), "toy", "16.conv1", 0.5, random(3, 25).abs()).save(path)


def read_regions(path):
    return dict(Regions.load(path).state_dict())


def write_calibration(path):
    CosineCalibration(random(5, 8), {"encoder": "toy"}).save(path)


def write_preview(path):
    weights, biases = {"32.rgb": random(3, 4)}, {"32.rgb": random(3)}
    preview_head.save(PreviewHead(weights, biases, {}), path, {"generator": "toy"})


@cache
def method(seed):
    return toy.method(seed=seed)


def write_editor(path):
    tensorfile.write(path, editor_tensors(method(0)), "editor", {"generator": "stylegan2-16", "encoder": "toy"})


def read_editor(path):
    load_editor(method(1), path)
    return {name: value.detach().clone() for name, value in method(1).named_parameters()}


class Net(nn.Module):
    """A linear layer with a buffer, as a training has them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.frozen = nn.Linear(4, 3), nn.Linear(2, 2)
        self.register_buffer("mean", torch.ones(3))


def trained_net():
    net = Net()
    optimizer = torch.optim.Adam(net.layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net.layer(random(2, 4)).square().sum().backward()
        optimizer.step()
    return net, optimizer


def write_state(path):
    net, optimizer = trained_net()
    save_state(path, net, optimizer, 3, "config", {"counts": torch.ones(2)})


def read_state(path):
    net = Net()
    optimizer = torch.optim.Adam(net.layer.parameters(), lr=0.1)
    step, extra = load_state(path, net, optimizer, "config")
    moments = {f"{i}.{k}": v for i, state in enumerate(optimizer.state.values()) for k, v in state.items()}
    return dict(net.state_dict()) | moments | extra | {"step": torch.tensor(step)}


def write_faces(path):
    images = torch.randint(0, 255, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    packed.save(path, Faces(images, images[:, 0] % 19, torch.arange(2)), {})


def read_faces(path):
    return vars(packed.load(path))


def read_latent(path):
    return {"w": load_latent(path, toy.generator(32))}


def write_face_encoder(path):
    torch.manual_seed(0)
    encoder = FaceEncoder(toy.generator(32).num_w)
    encoder.w_mean.copy_(toy.generator(32).w_mean)
    encoder.save(path, toy.generator(32).name, {})


def read_face_encoder(path):
    return dict(FaceEncoder.load(path, toy.generator(32)).state_dict())


# What writes a good file, what reads one, and what kind it is.
LOADERS = {
    "regions": (write_regions, read_regions, "regions"),
    "calibration": (write_calibration, lambda path: {"e": CosineCalibration.read(path).embeddings}, "calibration"),
    "preview head": (write_preview, lambda path: dict(preview_head.load(path).state_dict()), "preview"),
    "editor": (write_editor, read_editor, "editor"),
    "latent": (lambda path: save_latent(random(1, 8, 512), path), read_latent, "latent"),
    "training state": (write_state, read_state, "training"),
    "faces": (write_faces, read_faces, "faces"),
    "face encoder": (write_face_encoder, read_face_encoder, "face_encoder"),
}


def first(tensors):
    """The name of the first tensor of floats; of integers where there is none."""
    floats = [name for name, value in tensors.items() if value.is_floating_point() and value.numel() > 1]
    return floats[0] if floats else next(iter(tensors))


def with_number(number):
    def change(tensors):
        value = tensors[first(tensors)].clone()
        value.view(-1)[value.numel() // 2] = number
        tensors[first(tensors)] = value

    return change


def converted(dtype):
    return lambda tensors: tensors.update({first(tensors): tensors[first(tensors)].to(dtype)})


def shaped(make):
    return lambda tensors: tensors.update({first(tensors): make(tensors[first(tensors)]).contiguous()})


TENSORS = {  # what is done to the tensors of a file that is otherwise written as it should be
    "NaN": with_number(float("nan")),
    "infinite": with_number(float("inf")),
    "minus infinite": with_number(-float("inf")),
    "complex": converted(torch.complex64),
    "eight bits": converted(torch.float8_e4m3fn),
    "integers": converted(torch.int64),
    "bytes": converted(torch.uint8),
    "booleans": converted(torch.bool),
    "no tensors": lambda tensors: tensors.clear(),
    "one is missing": lambda tensors: tensors.pop(first(tensors)),
    "one too many": lambda tensors: tensors.update(extra=torch.zeros(2)),
    "a number as its name": lambda tensors: tensors.update({"0": tensors.pop(first(tensors))}),
    "an empty name": lambda tensors: tensors.update({"": tensors.pop(first(tensors))}),
    "a long name": lambda tensors: tensors.update({"x" * 1000: tensors.pop(first(tensors))}),
    "a name that terminals obey": lambda tensors: tensors.update({"\x1b[31m\n": tensors.pop(first(tensors))}),
    "an axis more": shaped(lambda value: value[None, None, None]),
    "one number": shaped(lambda value: value.reshape(-1)[:1]),
    "no numbers": shaped(lambda value: value[:0]),
    "a row less": shaped(lambda value: value.flatten()[1:]),
}
LATENT = "save one tensor"
ALLOWED = {  # what a loader takes on purpose
    ("latent", "one too many"),  # projectors leave noise beside the latent
    ("latent", "a number as its name"),  # the only tensor of a file is the latent, whatever it is called
    ("latent", "an empty name"),
    ("latent", "a long name"),
    ("latent", "a name that terminals obey"),
    ("preview head", "an axis more"),  # shapes are those of a generator, which is not given here
    ("preview head", "one number"),
    ("preview head", "no numbers"),
    ("preview head", "a row less"),
    ("calibration", "an axis more"),
}
NO_FLOATS = {"faces": ("NaN", "infinite", "minus infinite", "bytes", "integers")}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Files are named as people name them, below the current folder."""
    monkeypatch.chdir(tmp_path)


@cache
def content(loader):
    """The bytes of a good file."""
    with TemporaryDirectory() as folder:
        LOADERS[loader][0](Path(folder) / "good.safetensors")
        return (Path(folder) / "good.safetensors").read_bytes()


def good(loader):
    """A good file, and its tensors and metadata."""
    path = Path("file.safetensors")
    path.write_bytes(content(loader))
    with safe_open(path, "pt") as file:
        return path, {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


def refused(loader, path, words=None):
    with pytest.raises(ValueError, match=words) as caught:
        LOADERS[loader][1](path)
    said = str(caught.value)
    assert "\n" not in said and "\x1b" not in said and len(said) <= LONGEST, said
    return said


CASES = [
    (loader, case)
    for loader in LOADERS
    for case in TENSORS
    if (loader, case) not in ALLOWED and case not in NO_FLOATS.get(loader, ())
]


@pytest.mark.parametrize("loader, case", CASES, ids=lambda value: value.replace(" ", "-"))
def test_wrong_tensors_are_refused(loader, case):
    path, tensors, metadata = good(loader)
    TENSORS[case](tensors)
    for described in (metadata, {k: v for k, v in metadata.items() if k != "layout"}):
        tensorfile.write(path, tensors, LOADERS[loader][2], described)
        assert "file.safetensors" in refused(loader, path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("loader", [name for name in LOADERS if name != "faces"])
def test_floats_of_another_size_are_cast(loader, dtype):
    path, tensors, metadata = good(loader)
    expected = LOADERS[loader][1](path)
    cast = [name for name, value in tensors.items() if value.is_floating_point() and not name.startswith("extra.")]
    tensors |= {name: tensors[name].to(dtype) for name in cast}
    metadata.pop("layout", None)
    tensorfile.write(path, tensors, LOADERS[loader][2], metadata)
    found = LOADERS[loader][1](path)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        torch.testing.assert_close(found[name], value, rtol=0.02, atol=0.02)


# The bytes of a file


def header(data):
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(change):
    """The file with its header changed, and its length with it."""

    def rewritten(path):
        head, body = header(path.read_bytes())
        change(head)
        text = json.dumps(head).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + body)

    return rewritten


def each_tensor(**entries):
    def change(head):
        for name in head:
            if name != "__metadata__":
                head[name] |= entries

    return with_header(change)


def bytes_of(change):
    def rewritten(path):
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)

    return rewritten


def replaced(make):
    def rewritten(path):
        path.unlink()
        make(path)

    return rewritten


def sparse(path):
    with path.open("wb") as file:
        file.truncate(20 * 10**9)


def flip(place):
    """One bit of the file, at a share of its length from the end of the header on."""

    def change(data):
        begin = 8 + struct.unpack("<Q", data[:8])[0]
        data[begin + int(place * (len(data) - begin - 1))] ^= 4

    return bytes_of(change)


def flipped_letter(path):
    """A bit of a name in the header."""
    head, _ = header(path.read_bytes())
    name = next(name for name in head if name != "__metadata__").encode()
    data = bytearray(path.read_bytes())
    data[data.find(b'"' + name + b'"') + 1] ^= 1
    path.write_bytes(data)


def terabytes(head):
    for name in head:
        if name != "__metadata__":
            head[name] |= {"shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}


BYTES = {
    "a flipped bit at the start": flip(0),
    "a flipped bit in the middle": flip(0.5),
    "a flipped bit at the end": flip(1),
    "a flipped letter": flipped_letter,
    "cut off by a byte": bytes_of(lambda data: data.__delitem__(-1)),
    "cut in half": bytes_of(lambda data: data.__delitem__(slice(len(data) // 2, None))),
    "a byte more": bytes_of(lambda data: data.append(0)),
    "empty": bytes_of(lambda data: data.clear()),
    "text": bytes_of(lambda data: data.__setitem__(slice(None), b"not a weight file")),
    "a web page": bytes_of(lambda data: data.__setitem__(slice(None), b"<html>quota exceeded</html>" * 9)),
    "zeros": bytes_of(lambda data: data.__setitem__(slice(None), bytes(4000))),
    "a header of exabytes": bytes_of(lambda data: data.__setitem__(slice(0, 8), b"\xff" * 8)),
    "a header without end": bytes_of(lambda data: data.__setitem__(slice(0, 8), struct.pack("<Q", len(data) - 8))),
    "a header in lists": bytes_of(lambda data: data.__setitem__(slice(8, None), b"[" * 4000)),
    "terabytes": with_header(terabytes),
    "a side that overflows": each_tensor(shape=[1 << 62, 1 << 62]),
    "a negative side": each_tensor(shape=[-1]),
    "a list where a side belongs": each_tensor(shape=[[1]]),
    "a text where a shape belongs": each_tensor(shape="12"),
    "an unknown number type": each_tensor(dtype="X32"),
    "numbers of four bits": each_tensor(dtype="F4"),
    "offsets past the end": each_tensor(data_offsets=[0, 1 << 40]),
    "offsets that fall": each_tensor(data_offsets=[8, 0]),
    "a list where a tensor belongs": with_header(lambda head: head.update({n: [] for n in head if n[0] != "_"})),
    "a number where a tensor belongs": with_header(lambda head: head.update({n: 1 for n in head if n[0] != "_"})),
    "metadata that are a list": with_header(lambda head: head.update(__metadata__=[])),
    "metadata of numbers": with_header(lambda head: head["__metadata__"].update(step=1)),
    "another kind": with_header(lambda head: head["__metadata__"].update(format="where2edit.other")),
    "a folder": replaced(lambda path: path.mkdir()),
    "a pipe": replaced(os.mkfifo),
    "a device": replaced(lambda path: path.symlink_to("/dev/zero")),
    "twenty gigabytes": replaced(sparse),
    "nothing": replaced(lambda path: None),
    "a link to nothing": replaced(lambda path: path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("case", BYTES)
@pytest.mark.parametrize("loader", LOADERS)
def test_wrong_bytes_are_refused(loader, case):
    path, _, _ = good(loader)
    LOADERS[loader][1](path)
    BYTES[case](path)
    if loader == "training state" and not path.is_file():
        assert LOADERS[loader][1](path)["step"] == 0, "no snapshot is no run"
        return
    assert "file.safetensors" in refused(loader, path)


# Metadata

METADATA = {
    "regions": ["config", "generator", "inertia"],
    "preview head": ["sites"],
    "training state": ["step", "fingerprint"],
}
JUNK = ["", "junk", "[]", "{}", "-1", "1e999", "nan", '{"k": "x"}', "[" * 5000, "\x00"]
# A name may be anything, and of the sum of distances nothing is computed: the released regions do not know it.
FINE = {("generator", junk) for junk in JUNK[1:]} | {("inertia", "-1"), ("inertia", "nan"), ("inertia", "1e999")}
METADATA_CASES = [
    (loader, key, JUNK.index(junk))
    for loader, keys in METADATA.items()
    for key in keys
    for junk in JUNK
    if (key, junk) not in FINE
]


@pytest.mark.parametrize("loader, key, junk", METADATA_CASES)
def test_junk_in_the_metadata_is_refused(loader, key, junk):
    path, tensors, metadata = good(loader)
    tensorfile.write(path, tensors, LOADERS[loader][2], metadata | {key: JUNK[junk]})
    assert "file.safetensors" in refused(loader, path)


@pytest.mark.parametrize("loader", [name for name in LOADERS if name != "latent"])
def test_a_file_without_metadata_is_refused(loader):
    from safetensors.torch import save_file

    path, tensors, _ = good(loader)
    save_file({f"other.{name}": value for name, value in tensors.items()}, path)
    refused(loader, path)


# The state of a training

STATES = {
    "another number of steps": lambda t: t.update({"optimizer.step.layer.bias": torch.tensor(9.0)}),
    "no steps": lambda t: t.update({"optimizer.step.layer.bias": torch.tensor(0.0)}),
    "half a step": lambda t: t.update({"optimizer.step.layer.bias": torch.tensor(1.5)}),
    "a step of integers": lambda t: t.update({"optimizer.step.layer.bias": torch.tensor(3)}),
    "negative squares": lambda t: t["optimizer.exp_avg_sq.layer.bias"].neg_(),
    "squares that spread": lambda t: t.update({"optimizer.exp_avg_sq.layer.weight": torch.ones(3, 1)}),
    "moments that spread": lambda t: t.update({"optimizer.exp_avg.layer.weight": torch.ones(4)}),
    "moments of integers": lambda t: t.update({"optimizer.exp_avg.layer.bias": torch.ones(3, dtype=torch.int32)}),
    "a missing moment": lambda t: t.pop("optimizer.exp_avg.layer.bias"),
    "a missing square": lambda t: t.pop("optimizer.exp_avg_sq.layer.bias"),
    "a missing step": lambda t: t.pop("optimizer.step.layer.bias"),
    "an unknown moment": lambda t: t.update({"optimizer.max_exp_avg_sq.layer.bias": torch.ones(3)}),
    "moments of nobody": lambda t: t.update({"optimizer.exp_avg.gone": torch.ones(3)}),
    "a missing parameter": lambda t: t.pop("parameter.layer.bias"),
    "a parameter that spreads": lambda t: t.update({"parameter.layer.weight": torch.ones(1, 4)}),
    "a parameter of integers": lambda t: t.update({"parameter.layer.bias": torch.ones(3, dtype=torch.int64)}),
    "a missing buffer": lambda t: t.pop("buffer.mean"),
    "a buffer that spreads": lambda t: t.update({"buffer.mean": torch.ones(1)}),
}


@pytest.mark.parametrize("case", STATES)
def test_the_state_of_another_training_is_refused(case):
    path, tensors, metadata = good("training state")
    STATES[case](tensors)
    metadata.pop("layout")
    tensorfile.write(path, tensors, "training", metadata)
    assert "delete it to start over" in refused("training state", path)


def test_all_moments_of_a_parameter_cannot_be_missing():
    """They may be for one that a schedule keeps frozen, so that only the digest of what was saved tells."""
    path, tensors, metadata = good("training state")
    kept = {name: value for name, value in tensors.items() if not name.endswith("layer.bias") or "optim" not in name}
    assert len(kept) == len(tensors) - 3
    tensorfile.write(path, kept, "training", metadata)
    refused("training state", path, "does not hold the tensors that were saved")


@pytest.mark.parametrize("step", ["0", "-1", "1.5", "3 ", "", "x", "9" * 400, "\u0663"])
def test_a_step_that_no_run_has_is_refused(step):
    path, tensors, metadata = good("training state")
    tensorfile.write(path, tensors, "training", metadata | {"step": step})
    refused("training state", path, "says step=.*, expected a number")


@pytest.mark.parametrize("step", ["4", "2", "99999"])
def test_a_step_that_was_changed_since_is_seen(step):
    path, _, metadata = good("training state")
    before, after = (f'"step":"{each}"'.encode() for each in (metadata["step"], step))
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert data[:size].count(before) == 1
    head = data[8 : 8 + size].replace(before, after).rstrip().ljust(size)
    path.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + size :])
    refused("training state", path, "its content has changed since it was written")


# Editors of other networks


@pytest.mark.parametrize(
    "generator, fits", [("stylegan2-16", True), ("stylegan2-32", False), ("mobilestylegan", False)]
)
def test_an_editor_of_another_generator_is_refused(generator, fits):
    path, tensors, _ = good("editor")
    tensorfile.write(path, tensors, "editor", {"generator": generator})
    if fits:
        read_editor(path)
    else:
        refused("editor", path, "was trained on another generator than this config names")


# Latents

LATENTS = {  # numbers, and the shape that is read
    "w": (random(512), (1, 512)),
    "w in a row": (random(1, 512), (1, 512)),
    "codes": (random(8, 512), (1, 8, 512)),
    "codes of one face": (random(1, 18, 512), (1, 18, 512)),
}


def nested(w):
    return {"photo.png": {"img": None, "latent": w, "noise": [torch.zeros(1, 1, 4, 4)]}}


FILES = {
    "safetensors": lambda w, path: tensorfile.write(path, {"w": w}, "latent", {}),
    "another name": lambda w, path: tensorfile.write(path, {"latent": w}, "latent", {}),
    "half precision": lambda w, path: tensorfile.write(path, {"w": w.half()}, "latent", {}),
    "pt": torch.save,
    "pt with a name": lambda w, path: torch.save({"w": w, "epoch": 3}, path),
    "pt of a projector": lambda w, path: torch.save(nested(w), path),
    "pt of before 1.6": lambda w, path: torch.save(w, path, _use_new_zipfile_serialization=False),
    "pt of an array": lambda w, path: torch.save({"w": w.numpy()}, path),
    "npy": lambda w, path: np.save(path.open("wb"), w.numpy()),
    "npy in Fortran's order": lambda w, path: np.save(path.open("wb"), np.asfortranarray(w.numpy())),
    "npy of large ends": lambda w, path: np.save(path.open("wb"), w.numpy().astype(">f8")),
    "npz": lambda w, path: np.savez(path.open("wb"), w=w.numpy()),
    "npz, compressed": lambda w, path: np.savez_compressed(path.open("wb"), w=w.numpy()),
}


@pytest.mark.parametrize("shape", LATENTS)
@pytest.mark.parametrize("file", FILES)
def test_latents_are_read_from_the_files_that_people_have(file, shape):
    numbers, expected = LATENTS[shape]
    FILES[file](numbers, Path("w"))
    found = load_latent(Path("w"))
    assert found.shape == expected and found.dtype == torch.float32
    torch.testing.assert_close(found.flatten(), numbers.flatten(), rtol=1e-3, atol=1e-3)


WRONG_LATENTS = {
    "z": lambda path: tensorfile.write(path, {"z": random(512)}, "latent", {}),
    "several": lambda path: tensorfile.write(path, {"a": random(512), "b": random(512)}, "latent", {}),
    "many faces": lambda path: torch.save(random(5, 18, 512), path),
    "four axes": lambda path: torch.save(random(1, 1, 18, 512), path),
    "another width": lambda path: torch.save(random(18, 256), path),
    "one number": lambda path: torch.save(torch.tensor(1.0), path),
    "no codes": lambda path: torch.save(torch.zeros(0, 512), path),
    "integers": lambda path: torch.save(torch.ones(512, dtype=torch.int64), path),
    "huge numbers": lambda path: torch.save(random(512) * 1e6, path),
    "infinite in single precision": lambda path: torch.save(random(512).double() * 1e300, path),
    "NaN": lambda path: np.save(path.open("wb"), np.full(512, np.nan)),
    "complex": lambda path: torch.save(torch.ones(512, dtype=torch.complex64), path),
    "sparse": lambda path: torch.save(random(512).to_sparse(), path),
    "meta": lambda path: torch.save(torch.empty(512, device="meta"), path),
    "quantised": lambda path: torch.save(torch.quantize_per_tensor(random(512), 0.1, 0, torch.qint8), path),
    "a list": lambda path: torch.save(random(512).tolist(), path),
    "a text": lambda path: torch.save("w", path),
    "nothing": lambda path: torch.save({}, path),
    "a network": lambda path: torch.save(nn.Linear(2, 2).state_dict(), path),
    "objects": lambda path: np.save(path.open("wb"), np.array([{}] * 512), allow_pickle=True),
    "texts": lambda path: np.save(path.open("wb"), np.array(["w"] * 512)),
    "cut npy": lambda path: (np.save(path.open("wb"), np.ones(512)), path.write_bytes(path.read_bytes()[:-3])),
    "npy of terabytes": lambda path: (
        np.save(path.open("wb"), np.ones(512, np.float32)),
        path.write_bytes(path.read_bytes().replace(b"(512,)", b"(1<40,)").replace(b"(1<40,)", b"(9**9,)")),
    ),
    "deep": lambda path: torch.save({"a": {"b": {"c": {"d": {"w": random(512)}}}}}, path),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", WRONG_LATENTS)
def test_what_is_no_latent_is_refused(case):
    WRONG_LATENTS[case](Path("file.safetensors"))
    assert "file.safetensors" in refused("latent", Path("file.safetensors"))
