"""The allow-list reader: what NumPy writes comes back, everything else is refused before it runs."""

import collections
import os
import pickle

import numpy as np
import pytest

from where2edit.files.formats import safe_pickle
from where2edit.files.formats.pickled_arrays import numpy_makers
from where2edit.files.formats.pickled_values import Record


class Malicious:
    """Unpickled by the standard library it creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_comes_back(tmp_path, protocol):
    tree = {"a": np.arange(6.0).reshape(2, 3), "b": [np.float32(2), "text", None]}
    tree["c"] = collections.OrderedDict(x=(1, 2))
    path = tmp_path / "tree.pkl"
    path.write_bytes(pickle.dumps(tree, protocol))
    back = safe_pickle.load(path, numpy_makers())
    assert np.array_equal(back["a"], tree["a"]) and back["b"] == tree["b"] and back["c"] == tree["c"]


def test_names_of_numpy_1_are_known():
    data = pickle.dumps(np.arange(3), protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert np.array_equal(safe_pickle.loads(data, numpy_makers()), np.arange(3))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_malicious_pickle_is_refused_unexecuted(tmp_path, protocol):
    target = tmp_path / "made_by_the_pickle"
    data = pickle.dumps({"weights": np.zeros(3), "x": Malicious(target)}, protocol)
    path = tmp_path / "weights.pkl"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"asks for .*mkdir.* not among"):
        safe_pickle.load(path, numpy_makers())
    assert not target.exists()
    pickle.loads(data)
    assert target.exists(), "the sample must be harmful, or this test cannot fail"


@pytest.mark.parametrize(
    "data",
    [
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
        b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
        b"cnumpy\nload\n(S'x'\ntR.",
    ],
)
def test_names_beside_the_list_are_refused(data):
    with pytest.raises(ValueError, match="not among"):
        safe_pickle.loads(data, numpy_makers())


DAMAGED = [b"", b"not a pickle", pickle.dumps(np.arange(9))[:-5], b"\x80\x04P1\n.", b"\x80\x02K\x01Q."]


@pytest.mark.parametrize("data", DAMAGED)
def test_damaged_pickle_is_one_sentence(data):
    with pytest.raises(ValueError, match="pickle"):
        safe_pickle.loads(data, numpy_makers())


def test_stand_in_for_a_missing_class():
    data = b"\x80\x02cdnnlib.tflib.network\nNetwork\n)\x81}U\x04nameU\x02Gssb."
    network = safe_pickle.loads(data, {"dnnlib.tflib.network.Network": Record})
    assert network.attributes == {"name": "Gs"}
