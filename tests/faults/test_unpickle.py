"""Foreign pickles never run code, whatever they hold."""

import collections
import io
import pickle
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otolith.core.errors import FileFormatError
from otolith.core.unpickle import Stub, load_restricted


class Evil:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


class Plain:
    def __init__(self):
        self.value = np.arange(3)


def restricted(data):
    return load_restricted(io.BytesIO(data))


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_not_run(tmp_path, protocol):
    mark = tmp_path / "owned"
    for call, args in [
        (subprocess.call, (["touch", str(mark)],)),
        (eval, (f"open({str(mark)!r}, 'w')",)),
        (open, (str(mark), "w")),
        (getattr, ("x", "upper")),
        (np.save, (str(mark), np.zeros(1))),
    ]:
        value = restricted(pickle.dumps(Evil(call, *args), protocol=protocol))
        assert isinstance(value, Stub)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back(protocol):
    value = {
        "a": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "s": np.array(["x", "yy"]),
        "o": np.array([np.zeros(2), "t"], dtype=object),
        "n": np.float32(2.5),
        "l": [1, (2.0, None), {3}],
        "d": collections.OrderedDict(k=1),
    }
    got = restricted(pickle.dumps(value, protocol=protocol))
    np.testing.assert_array_equal(got["a"], value["a"])
    np.testing.assert_array_equal(got["f"], value["f"])
    np.testing.assert_array_equal(got["s"], value["s"])
    np.testing.assert_array_equal(got["o"][0], np.zeros(2))
    assert got["n"] == np.float32(2.5)
    assert got["l"] == value["l"]
    assert dict(got["d"]) == {"k": 1}


@pytest.mark.parametrize("protocol", range(6))
def test_foreign_classes_become_stubs_with_their_state(protocol):
    stub = restricted(pickle.dumps([Plain(), Plain()], protocol=protocol))[1]
    assert isinstance(stub, Stub)
    assert stub.name == "Plain"
    np.testing.assert_array_equal(stub.state["value"], np.arange(3))


def test_object_npy_files_are_read(tmp_path):
    path = tmp_path / "x.npy"
    value = np.empty(2, dtype=object)
    value[:] = [np.ones(2), {"a": 1}]
    np.save(path, value, allow_pickle=True)
    got = load_restricted(path)
    assert got.shape == (2,)
    assert got[1] == {"a": 1}
    np.save(path, np.arange(4), allow_pickle=False)
    np.testing.assert_array_equal(load_restricted(path), np.arange(4))


@given(st.integers(0, 200), st.binary(max_size=30))
def test_damage_is_an_error_of_ours(cut, tail):
    data = pickle.dumps({"a": np.arange(9), "b": Plain()})
    broken = data[: min(cut, len(data) - 1)] + tail
    message = ""
    try:
        restricted(broken)
    except FileFormatError as error:
        message = str(error)
    assert not message or "cannot be read" in message


def test_truncated_file_is_refused():
    data = pickle.dumps(list(range(1000)))
    with pytest.raises(FileFormatError):
        restricted(data[:-5])
