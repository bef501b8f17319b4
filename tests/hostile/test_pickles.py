"""Pickles and archives from outside: nothing in them runs, no claim of theirs is believed, a refusal costs little."""

import pickle
import resource
import struct
import time
import zipfile

import numpy as np
import official_files as official
import pytest
import torch

from where2edit.files.formats import readers, safe_pickle
from where2edit.files.formats.pickled_arrays import numpy_makers
from where2edit.files.formats.pickled_tensors import tensor_makers

SECONDS, BYTES = 5, 1 << 30  # what a refusal may cost
LONGEST = 300  # characters of a sentence


def refused(words, read, *arguments):
    """`read` refuses in one short sentence with these words, and at little cost."""
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=words) as caught:
        read(*arguments)
    assert time.process_time() - begin < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < BYTES
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= LONGEST, str(caught.value)


def numbers(data):
    return safe_pickle.loads(data, numpy_makers())


def tensors(data):
    return safe_pickle.loads(data, tensor_makers(), outside=lambda reference: torch.arange(4.0))


def text(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


def name(full):
    module, _, attribute = full.rpartition(".")
    return text(module) + text(attribute) + b"\x93"


# What only code needs

NAMES = (
    "os.system posix.system nt.system os.popen os.execv os.remove os.mkdir shutil.rmtree "
    "subprocess.Popen subprocess.call subprocess.check_output builtins.eval builtins.exec "
    "builtins.compile builtins.getattr builtins.setattr builtins.open builtins.__import__ builtins.print "
    "builtins.type builtins.object builtins.map builtins.apply __builtin__.eval __builtin__.file "
    "sys.exit sys.modules sys.settrace importlib.import_module runpy.run_path pty.spawn socket.socket "
    "ctypes.CDLL ctypes.string_at pickle.loads _pickle.loads marshal.loads types.CodeType "
    "types.FunctionType functools.partial operator.attrgetter operator.methodcaller itertools.starmap "
    "code.interact webbrowser.open copyreg._reconstructor copyreg.__newobj__ numpy.load numpy.fromfile "
    "numpy.memmap numpy.ndarray.dump numpy.ndarray.__setstate__ numpy.testing._private.utils.runstring "
    "numpy.core.multiarray.fromstring torch.load torch.hub.load torch.jit.load torch.Tensor.set_ "
    "torch.storage._load_from_bytes torch._utils._rebuild_device_tensor_from_numpy "
    "torch.distributed.rpc.rpc_sync argparse.Namespace.__init__ collections.OrderedDict.__reduce__ "
    "pathlib.PosixPath "
)


@pytest.mark.parametrize("full", NAMES.split())
def test_a_name_that_is_not_on_the_list_is_refused_however_it_is_written(full):
    module, _, attribute = full.rpartition(".")
    for data in (
        b"c" + module.encode() + b"\n" + attribute.encode() + b"\n(S'x'\ntR.",
        b"\x80\x04" + name(full) + text("x") + b"\x85R.",
        b"\x80\x02" + b"c" + module.encode() + b"\n" + attribute.encode() + b"\n)\x81}b.",
    ):
        for read in (numbers, tensors):
            refused(r"asks for .* not among .*nothing of it was run", read, data)


STEPS = {
    "INST": b"(S'x'\nios\nsystem\n.",
    "OBJ": b"(S'x'\no.",
    "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.",
    "EXT4": b"\x84\x01\x00\x00\x00.",
    "PERSID": b"Px\n.",
    "NEXT_BUFFER": b"\x97.",
    "READONLY_BUFFER": b"N\x98.",
    "named arguments": b"\x80\x04" + name("numpy.dtype") + b")}" + text("a") + b"Ns\x92.",
    "a call of a text": b"S'os.system'\n(S'x'\ntR.",
    "a call of a list": b"](S'x'\ntR.",
    "a call of a name that is a value": b"\x80\x04" + name("numpy.ndarray") + b")R.",
    "arguments that are no tuple": b"\x80\x04" + name("collections.OrderedDict") + b"]R.",
    "changing a list": b"]}b.",
    "changing a number": b"K\x01}b.",
    "changing a name": b"\x80\x04" + name("numpy.dtype") + b"}b.",
    "appending to a tuple": b")K\x01a.",
    "appending to a dictionary": b"}K\x01a.",
    "setting an item of a list": b"]K\x00K\x01s.",
    "an odd number of items": b"}(K\x01u.",
    "adding to a list": b"](K\x01\x90.",
    "a list as a key": b"}]K\x01s.",
    "a long tuple as a key": b"}(" + b"K\x01" * 40 + b"tK\x01s.",
    "a large number as a key": b"}\x8a\x09" + b"\xff" * 8 + b"\x00K\x01s.",
    "nothing": b".",
    "two values": b"K\x01K\x02.",
    "an open mark": b"(K\x01.",
    "a mark that is not there": b"t.",
    "a value that is not there": b"\x85.",
    "a memory that is not there": b"h\x05.",
    "no end": b"K\x01",
    "an unknown operation": b"\xff.",
    "a number of 2,000 bits": b"\x8a\xfa" + b"\x01" * 250 + b".",
    "a number of 5,000 digits": b"L" + b"9" * 5000 + b"L\n.",
    "a text that is cut off": b"X\xff\xff\xff\x7fab.",
    "bytes that are not there": b"\x8e" + struct.pack("<Q", 1 << 60) + b"ab.",
    "a text that is no UTF-8": b"X\x02\x00\x00\x00\xff\xfe.",
    "a line without end": b"S'" + b"a" * 100,
    "a negative length": b"\x8b\xff\xff\xff\xff.",
}


@pytest.mark.parametrize("case", STEPS)
def test_an_operation_that_makes_no_plain_value_is_refused(case):
    for read in (numbers, tensors):
        refused("is not read|broken or not a readable pickle", read, STEPS[case])


# Memory and time

MEBI = 1 << 20
TEXT = b"X" + struct.pack("<I", MEBI) + b"a" * MEBI
ENCODE = b"c_codecs\nencode\n"
TYPE = b"cnumpy\ndtype\nU\x02u1\x89\x88\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
SHAPE = b"J" + struct.pack("<I", MEBI) + b"\x85"
BUFFER = b"cnumpy._core.numeric\n_frombuffer\n"
BOMBS = {
    "lists in lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "lists in lists, outermost first": b"]q\x00" + b"]q\x01ah\x01" * 50_000 + b"0" * 49_999 + b".",
    "tuples in tuples": b")" + b"\x85" * 100_000 + b".",
    "dictionaries in dictionaries": b"}" + b"K\x01}" * 50_000 + b"s" * 50_000 + b".",
    "tuples of pairs as a key": b"}K\x01" + b"2\x86" * 60 + b"K\x01s.",
    "a list in itself": b"]q\x00h\x00a.",
    "a dictionary in itself": b"}q\x00K\x01h\x00s.",
    "two lists in each other": b"]q\x00]q\x01h\x00ah\x01a.",
    "too many operations": b"K\x010" * 600_000 + b"N.",
    "too many values": b"(" + b"K\x01" * 1_100_000 + b"t.",
    "one text as bytes, again and again": TEXT + b"q\x000](" + (ENCODE + b"h\x00U\x06latin1\x86R") * 1000 + b"e.",
    "one list as a dictionary, again and again": (
        b"](" + b"K\x01K\x02\x86" * 20_000 + b"eq\x000](" + b"ccollections\nOrderedDict\nh\x00\x85R" * 20_000 + b"e."
    ),
    "one text as an array, again and again": (
        TEXT + b"q\x000" + TYPE + b"q\x010](" + (BUFFER + b"(h\x00h\x01" + SHAPE + b"U\x01CtR") * 1000 + b"e."
    ),
    "a long text of wide letters": b"X" + struct.pack("<I", 8 * MEBI) + "\U0001f600".encode() * (2 * MEBI) + b".",
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_what_would_cost_more_than_it_holds_is_refused(case):
    refused("is not read", numbers, BOMBS[case])


def test_a_list_of_lists_of_lists_is_shared_and_not_unfolded():
    """Thirty times doubled it would be a thousand million lists; it stays thirty."""
    doubled = b"]" + b"q\x000](h\x00h\x00e" * 30 + b"."
    assert len(numbers(doubled)) == 2


# Arrays


def array(shape=(2, 3), dtype="f4", order="<", data=None, fortran=False, state=None):
    """The pickle of an array from fields that anybody may choose."""
    data = bytes(int(np.prod(shape)) * 4) if data is None else data
    state = (3, order, None, None, None, -1, -1, 0) if state is None else state

    class Dtype:
        def __reduce__(self):
            return np.dtype, (dtype, False, True), state

    class Array:
        def __reduce__(self):
            return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, Dtype(), fortran, data)

    return pickle.dumps(Array(), 2)


ARRAYS = {
    "too few bytes": {"data": b"1234"},
    "too many bytes": {"data": bytes(100)},
    "a negative side": {"shape": (-2, -3), "data": bytes(24)},
    "a side that is no number": {"shape": ("2", 3), "data": bytes(24)},
    "terabytes": {"shape": (1 << 40, 1 << 40), "data": bytes(24)},
    "a shape that overflows": {"shape": (1 << 62, 4), "data": b""},
    "a hundred axes": {"shape": (1,) * 100, "data": bytes(4)},
    "objects": {"dtype": "O8", "order": "|", "data": [None] * 6},
    "texts": {"dtype": "U1"},
    "bytes": {"dtype": "S4", "order": "|"},
    "structures": {"dtype": "V4", "order": "|", "state": (3, "|", None, ("x",), {"x": (1, 0)}, 4, 1, 16)},
    "dates": {"dtype": "M8", "data": bytes(48)},
    "complex numbers": {"dtype": "c8", "data": bytes(48)},
    "long doubles": {"dtype": "f16", "data": bytes(96)},
    "a type that is a list": {"dtype": ["f4"]},
    "an order that is unknown": {"order": "x"},
    "fields": {"state": (3, "<", None, ("x",), {"x": (1, 0)}, 4, 1, 16)},
    "a part of another type": {"state": (3, "<", ("f4", (2,)), None, None, 4, 1, 16)},
    "a state that is too short": {"state": (3, "<")},
    "a state that is a dictionary": {"state": {"x": 1}},
    "bytes that are a number": {"data": 24},
    "bytes that are a dictionary": {"data": {}},
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_that_is_described_wrongly_is_refused(case):
    refused("is not read: it", numbers, array(**ARRAYS[case]))


def test_an_array_is_made_from_its_fields():
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    assert np.array_equal(numbers(array(order=">", data=values.tobytes())), values)
    assert np.array_equal(numbers(array(data=values.astype("<f4").tobytes("F"), fortran=True)), values)


def test_the_state_of_a_number_type_reaches_no_memory():
    """What once reached a pointer from the file: a state for numpy.dtype, and then items set in it."""
    dtype = b"\x80\x02cnumpy\ndtype\nU\x02V8\x89\x88\x87R"
    fields = b"(K\x03U\x01|NU\x01x\x85}U\x01xcnumpy\ndtype\nU\x02f4\x89\x88\x87RK\x00\x86sK\x08K\x01K\x10tb"
    for data in (dtype + fields + b".", dtype + fields + b"U\x01xK\x01s.", dtype + b"U\x01xK\x01s."):
        refused("is not read", numbers, data)
    plain = b"\x80\x02cnumpy\ndtype\nU\x02f4\x89\x88\x87R"
    for rest in (
        b"U\x01xK\x01s.",
        b"K\x01a.",
        b"}b.",
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbU\x01xK\x01s.",
    ):
        refused("is not read", numbers, plain + rest)


# Tensors


def tensor(offset=0, size=(2, 2), stride=(2, 1), function="_rebuild_tensor_v2"):
    """The pickle of a tensor over the four numbers that `tensors` gives for every reference."""
    fields = b"".join(pickle.dumps(value, 0 if type(value) is str else 2)[2:-1] for value in (offset, size, stride))
    return b"\x80\x02ctorch._utils\n" + function.encode() + b"\n(U\x01xQ" + fields + b"\x89}tR."


TENSORS = {
    "a size past the end": {"size": (3, 2)},
    "an offset past the end": {"offset": 1},
    "a negative offset": {"offset": -1},
    "a negative stride": {"stride": (-2, 1)},
    "a stride past the end": {"stride": (3, 1)},
    "a negative size": {"size": (-2, 2)},
    "terabytes of one number": {"size": (1 << 20, 1 << 20), "stride": (0, 0)},
    "a size that overflows": {"size": (1 << 61, 1 << 61), "stride": (0, 0)},
    "a number of axes that differs": {"stride": (1,)},
    "a hundred axes": {"size": (1,) * 100, "stride": (0,) * 100},
    "a size that is no tuple": {"size": 4},
    "a size of texts": {"size": ("2", 2)},
    "a size of fractions": {"size": (2.0, 2)},
    "a sparse tensor": {"function": "_rebuild_sparse_tensor"},
    "a sparse tensor in rows": {"function": "_rebuild_sparse_csr_tensor"},
    "a quantised tensor": {"function": "_rebuild_qtensor"},
    "a tensor without numbers": {"function": "_rebuild_meta_tensor_no_storage"},
    "a nested tensor": {"function": "_rebuild_nested_tensor"},
    "a tensor of a class": {"function": "_rebuild_wrapper_subclass"},
}


@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_that_is_described_wrongly_is_refused(case):
    refused("is not read: it", tensors, tensor(**TENSORS[case]))


def test_a_tensor_is_made_from_its_fields():
    assert torch.equal(tensors(tensor()), torch.arange(4.0).view(2, 2))
    assert tensors(tensor(size=(5,), stride=(0,), offset=3)).tolist() == [3.0] * 5
    assert tensors(tensor(size=(0, 7), stride=(7, 1))).shape == (0, 7)


# Archives and the older container


@pytest.fixture(scope="module")
def state():
    draw = torch.Generator().manual_seed(0)
    return {"a": torch.randn(64, 3, generator=draw), "b": torch.arange(5), "c": torch.tensor(1.5), "epoch": 3}


def saved(state, path, zipped=True):
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_both_containers_come_back(zipped, state, tmp_path):
    shared = {"tied": state["a"], "part": state["a"][1:3, 1:], "turned": state["a"].T, "half": state["a"].bfloat16()}
    shared |= {"parameter": torch.nn.Parameter(state["a"]), "numpy": np.arange(3), "none": None, "set": {1, 2}}
    torch.save(state | shared, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = readers.read_checkpoint(tmp_path / "x.pt")
    for key, value in (state | shared).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(found[key], value) and found[key].dtype == value.dtype and not found[key].requires_grad
    assert found["epoch"] == 3 and found["numpy"].tolist() == [0, 1, 2] and found["set"] == {1, 2}
    found["a"].add_(1)  # a private copy: the file stays as it is
    assert torch.equal(readers.read_checkpoint(tmp_path / "x.pt")["a"], state["a"])


def rewritten(path, change=lambda name, data: data, method=zipfile.ZIP_STORED, more=()):
    """The archive with every member changed."""
    with zipfile.ZipFile(path) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist()]
    with zipfile.ZipFile(path, "w", method) as new:
        for member, data in [*((m, change(m, d)) for m, d in members), *more]:
            new.writestr(member, data)
    return path


def patched(path, change):
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


def encrypted(data):
    """The flag of encryption, in the directory and before each member."""
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)


def flipped(data):
    """One bit of the first storage."""
    at = bytes(data).find(b"data/0")
    at = at if at >= 0 else len(data) // 2
    data[at + 200] ^= 1


def member_size(size):
    """Another unpacked size of the last member in the directory."""

    def change(data):
        at = bytes(data).rfind(b"PK\x01\x02")
        data[at + 24 : at + 28] = struct.pack("<I", size)

    return change


def bomb(path):
    """A compressed member that says it unpacks to 600 megabytes."""
    return patched(rewritten(path, method=zipfile.ZIP_DEFLATED), member_size(600_000_000))


def crowd(path):
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(20_001):
            archive.writestr(f"x/{i}", b"")
    return path


def long_directory(path):
    """A directory that claims to be two gigabytes long."""
    return patched(rewritten(path), lambda data: data.__setitem__(slice(-10, -6), struct.pack("<I", 0x7FFFFFFF)))


ARCHIVES = {
    "encrypted": lambda path: patched(path, encrypted),
    "a flipped bit": lambda path: patched(path, flipped),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "compressed by bzip2": lambda path: rewritten(path, method=zipfile.ZIP_BZIP2),
    "compressed by lzma": lambda path: rewritten(path, method=zipfile.ZIP_LZMA),
    "a member of another size": lambda path: patched(path, member_size(7)),
    "a member of four gigabytes": lambda path: patched(path, member_size(0xFFFFFFF0)),
    "a bomb": bomb,
    "20,001 members": crowd,
    "a long directory": long_directory,
    "two pickles": lambda path: rewritten(path, more=[("y/data.pkl", b"N.")]),
    "no pickle": lambda path: drop(path, "data.pkl"),
    "a storage that is missing": lambda path: drop(path, "data/0"),
    "a storage that is too short": lambda path: rewritten(path, lambda n, d: d[:4] if n.endswith("data/0") else d),
    "a storage that is too long": lambda path: rewritten(path, lambda n, d: d + b"1234" if n.endswith("data/0") else d),
    "another byte order": lambda path: rewritten(path, lambda n, d: b"big" if n.endswith("byteorder") else d),
    "a pickle that is none": lambda path: rewritten(path, lambda n, d: b"junk" if n.endswith("data.pkl") else d),
    "a pickle with a name": lambda p: rewritten(p, lambda n, d: b"cos\nsystem\n." if n.endswith("data.pkl") else d),
}


def drop(path, ending):
    with zipfile.ZipFile(path) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist() if not info.filename.endswith(ending)]
    with zipfile.ZipFile(path, "w") as new:
        for member, data in members:
            new.writestr(member, data)
    return path


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_that_is_not_whole_is_refused(case, state, tmp_path):
    path = saved(state, tmp_path / "x.pt")
    ARCHIVES[case](path)
    refused("is not read|broken or not a readable|is not an archive of torch|byte order", readers.read_checkpoint, path)


def test_an_archive_that_somebody_packed_again_is_read(state, tmp_path):
    path = rewritten(saved(state, tmp_path / "x.pt"), method=zipfile.ZIP_DEFLATED)
    assert torch.equal(readers.read_checkpoint(path)["a"], state["a"])
    path = rewritten(saved(state, tmp_path / "y.pt"))  # stored, and not aligned
    assert torch.equal(readers.read_checkpoint(path)["a"], state["a"])


OLDER = {
    "cut off": lambda data: data.__delitem__(slice(-10, None)),
    "cut after the object": lambda data: data.__delitem__(slice(-400, None)),
    "another number of numbers": lambda data: data.__setitem__(bytes(data).find(struct.pack("<Q", 192)), 191),
    "another magic number": lambda data: data.__setitem__(5, data[5] ^ 1),
    "a plain pickle": lambda data: data.__setitem__(slice(None), pickle.dumps({"a": 1})),
    "empty": lambda data: data.clear(),
    "a web page": lambda data: data.__setitem__(slice(None), b"<html>quota exceeded</html>"),
}


@pytest.mark.parametrize("case", OLDER)
def test_an_older_file_that_is_not_whole_is_refused(case, state, tmp_path):
    path = patched(saved(state, tmp_path / "x.pt", zipped=False), OLDER[case])
    refused("is not read|is not a readable|broken or not", readers.read_checkpoint, path)


NVIDIA = {
    "no network": {"G_ema": None},
    "a network that is a list": {"G_ema": [1]},
    "the names of another kind": {"G_ema": {"synthesis": 1}},
}


@pytest.mark.parametrize("case", NVIDIA)
def test_a_pickle_without_a_network_is_refused(case, tmp_path, monkeypatch):
    from where2edit.files import formats

    path = official.write_nvidia(tmp_path / "x.pkl", {}, {}, monkeypatch, **NVIDIA[case])
    refused("has no network 'G_ema'", formats.get("stylegan2-nvidia").convert, path)


def test_modules_that_hold_each_other_a_million_times_are_refused(tmp_path):
    """Forty modules, each of which holds the next one twice, would have a million million names."""
    record = b"c__torch__\nX\n)\x81"
    inside = record + b"}b"
    for _ in range(40):
        inside = inside + b"q\x000" + record + b"}(U\x01ah\x00U\x01bh\x00ub"
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + inside + b".")
        archive.writestr("x/constants.pkl", b"N.")
    refused("modules have more than", readers.read_torchscript, tmp_path / "x.pt")
