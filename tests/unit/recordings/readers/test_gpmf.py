"""The parser of telemetry packets: what it reads, and what it refuses."""

import struct

import numpy as np
import pytest
from tests.fixtures.gpmf_payloads import container, item, packet, samples, stream, text

from otolith.core.errors import FileFormatError
from otolith.recordings.readers.gpmf import (
    MAX_DEPTH,
    MAX_ITEMS,
    items,
    numbers,
    read_sensors,
    sensor_keys,
)


def test_values_are_divided_by_the_scale_and_facts_are_read():
    values = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    matrix = np.eye(3)
    payload = packet(
        stream("ACCL", values, scale=100, name="Accelerometer", total=17, stamp_us=123456789012,
               order_in="XzY", order_out="ZXY", matrix=matrix),
        stream("GYRO", -values, scale=1000, unit="rad/s"),
        device="GoPro Max",
    )  # fmt: skip
    acc, gyro = read_sensors(payload)
    np.testing.assert_allclose(acc.values_NC, values)
    np.testing.assert_allclose(gyro.values_NC, -values)
    assert (acc.key, acc.unit, acc.name, acc.device) == (
        "ACCL",
        "m/s²",
        "Accelerometer",
        "GoPro Max",
    )
    assert (acc.order_in, acc.order_out, acc.matrix) == ("XzY", "ZXY", tuple(matrix.ravel()))
    assert (acc.stamp_us, acc.total) == (123456789012, 17)
    assert (gyro.unit, gyro.total, gyro.order_in) == ("rad/s", None, "")


def test_a_scale_may_differ_per_component():
    raw = np.array([[10, 20, 30]], ">i2").tobytes()
    payload = packet(
        container("STRM", item("SCAL", "s", 2, 3, struct.pack(">3h", 1, 2, 3)),
                  item("ACCL", "s", 6, 1, raw))
    )  # fmt: skip
    np.testing.assert_allclose(read_sensors(payload)[0].values_NC, [[10, 10, 10]])


def test_facts_of_one_stream_do_not_leak_into_the_next():
    bare = container("STRM", samples("GYRO", [[1, 2, 3]], 1))
    payload = packet(stream("ACCL", [[1, 2, 3]], scale=2, order_in="XYZ"), bare)
    gyro = read_sensors(payload)[1]
    assert gyro.order_in == gyro.unit == ""
    np.testing.assert_allclose(gyro.values_NC, [[1, 2, 3]])


def test_unknown_items_and_empty_sensors_are_passed_over():
    payload = packet(
        container("STRM", text("STNM", "Faces"), item("FACE", "?", 14, 0)),
        container("STRM", item("GPS5", "l", 20, 1, bytes(20))),
        container("STRM", item("ACCL", "s", 6, 0)),
    )
    assert read_sensors(payload) == []
    assert {i.key for i in items(payload)} >= {"DEVC", "STRM", "FACE", "GPS5"}


def test_the_keys_of_all_sensors_are_the_last_items_of_their_streams():
    payload = packet(
        stream("ACCL", [[1, 2, 3]], total=1, unit=""),
        container("STRM", text("STNM", "Faces"), item("FACE", "?", 14, 0)),
        container("STRM", item("GPS5", "l", 20, 1, bytes(20))),
        container("STRM"),
    )
    assert sensor_keys(payload) == ("ACCL", "FACE", "GPS5")


def test_padding_at_the_end_is_no_item():
    payload = packet(stream("ACCL", [[1, 2, 3]])) + bytes(16)
    assert len(read_sensors(payload)) == 1


def test_floats_and_long_integers_are_numbers():
    pairs = {"f": ">f4", "d": ">f8", "l": ">i4", "J": ">u8", "B": "u1", "b": "i1"}
    for kind, code in pairs.items():
        raw = np.array([[1, 2], [3, 4]], code)
        found = next(iter(items(item("ABCD", kind, 2 * raw.itemsize, 2, raw.tobytes()))))
        np.testing.assert_array_equal(numbers(found), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (item("ACCL", "s", 6, 400, bytes(12)), "needs 2400 bytes"),
        (packet(stream("ACCL", [[1, 2, 3]]))[:-1], "needs"),
        (b"DEV", "ends inside an item"),
        (b"\xff\xfe\x00\x01" + bytes(8), "is called"),
        (packet(container("STRM", item("ACCL", "c", 6, 1, bytes(6)))), "holds no numbers"),
        (packet(container("STRM", item("ACCL", "s", 5, 2, bytes(10)))), "elements of 5 bytes"),
        (packet(stream("ACCL", [[1, 2, 3]], scale=0)), "scale of ACCL"),
        (packet(container("STRM", item("SCAL", "s", 2, 2, b"\0\1\0\2"), samples("ACCL", [[1, 2, 3]], 1))),
         "scale of ACCL"),
        (packet(container("STRM", item("ACCL", "f", 12, 1, struct.pack(">3f", 1, np.nan, 2)))),
         "no numbers"),
        (bytes(8) + b"DEVC" + bytes(4), "behind its items"),
    ],
)  # fmt: skip
def test_damage_is_one_sentence(payload, words):
    with pytest.raises(FileFormatError, match=words) as caught:
        read_sensors(payload)
    assert caught.value.remedy


def test_depth_and_number_of_items_are_limited():
    deep = b""
    for _ in range(MAX_DEPTH + 2):
        deep = container("STRM", deep)
    with pytest.raises(FileFormatError, match="nested deeper"):
        read_sensors(deep)
    with pytest.raises(FileFormatError, match="more than"):
        list(items(item("ABCD", "B", 1, 0) * (MAX_ITEMS + 1)))
