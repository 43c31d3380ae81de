"""Truncated and flipped telemetry never crashes or hangs: it is read, or refused in one sentence."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.gpmf_payloads import add_track, item, make_film, packet, stream, walk
from tests.golden.harness import SHARED

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.inference.notes import Notes
from otolith.recordings.readers.gpmf import read_sensors
from otolith.recordings.readers.packets import Packet, join_packets
from otolith.recordings.video import data_packets

PAYLOAD = walk(1, 20, 20, order_in="XzY", order_out="ZXY", matrix=np.eye(3).ravel())[0][0]


def survives(payload):
    """Read a payload; finite numbers or one error of ours, within a second."""
    start = time.perf_counter()
    try:
        blocks = read_sensors(payload)
    except FileFormatError:
        blocks = []
    assert time.perf_counter() - start < 1.0
    for block in blocks:
        assert block.values_NC.ndim == 2
        assert len(block.values_NC) * 2 <= len(payload)
        assert np.isfinite(block.values_NC).all()
    return blocks


def test_every_truncation_is_survived():
    counts = [len(survives(PAYLOAD[:n])) for n in range(len(PAYLOAD))]
    assert max(counts) == 0  # the containers reach beyond what is left
    assert len(survives(PAYLOAD)) == 2


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(PAYLOAD) - 1), st.integers(0, 7)), min_size=1, max_size=6)
)
def test_flipped_bits_are_survived(flips):
    damaged = bytearray(PAYLOAD)
    for at, bit in flips:
        damaged[at] ^= 1 << bit
    survives(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
def test_noise_is_survived(noise):
    survives(noise)
    survives(b"DEVC\0\1" + len(noise).to_bytes(2, "big") + noise)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 9), st.sampled_from([1, 7, 417, 939]), st.integers(0, 10**6)
)
def test_what_is_written_is_read(num_rows, num_columns, scale, seed):
    raw = np.random.default_rng(seed).integers(-32768, 32767, (num_rows, num_columns))
    found = read_sensors(packet(stream("ACCL", raw / scale, scale=scale)))[0]
    np.testing.assert_allclose(found.values_NC, raw / scale)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=12),
    st.floats(0.1, 3.0),
)
def test_no_sample_is_lost_on_the_clock(rows, duration_s):
    kept = [(i, n) for i, (n, is_there) in enumerate(rows) if is_there or i == 0]
    packets = [Packet(i * duration_s, duration_s, np.full((n, 3), float(i))) for i, n in kept]
    timed = join_packets(packets)
    assert len(timed.times_N) == len(timed.values_NC) == sum(n for _, n in kept)
    assert np.isfinite(timed.times_N).all()
    assert timed.rate_hz > 0


def test_long_chains_of_empty_items_do_not_hang():
    survives(item("ABCD", "B", 1, 0) * 200_000)
    survives(b"STRM\0\1\xff\xff" * 5_000)


def test_real_packets_survive_flips():
    path = SHARED / "data" / "video" / "gopro" / "gopro_max_walk.mp4"
    if not path.exists():
        pytest.skip("the real video is not at hand")
    payload = next(data_packets(path, "GoPro MET", b"DEVC"))[2]
    rng = np.random.default_rng(0)
    assert {b.key for b in survives(payload)} == {"ACCL", "GYRO", "GRAV"}
    for _ in range(300):
        damaged = bytearray(payload)
        damaged[int(rng.integers(len(payload)))] ^= 1 << int(rng.integers(8))
        survives(bytes(damaged[: int(rng.integers(1, len(payload)))]))


def test_a_film_of_flipped_telemetry_is_read_or_refused(tmp_path):
    from otolith.recordings.options import ReadOptions
    from otolith.recordings.readers import gopro

    packets, _, _ = walk(4)
    rng = np.random.default_rng(1)
    num_read = 0
    for _ in range(60):
        damaged = []
        for payload in packets:
            changed = bytearray(payload)
            for at in rng.integers(len(payload), size=rng.integers(0, 3)):
                changed[int(at)] ^= 1 << int(rng.integers(8))
            damaged.append(bytes(changed))
        notes = Notes(tmp_path / "a.mp4")
        try:
            blocks = gopro.read_blocks([(float(i), 1.0, p) for i, p in enumerate(damaged)], notes)
            imu = gopro.motion(blocks, notes.path, ReadOptions(), notes) if blocks else None
        except DataError:
            continue
        num_read += imu is not None
        if imu is not None:
            assert 1.0 <= imu.rate_hz <= 20_000.0
            assert np.isfinite(imu.samples_TC).any()
    assert num_read > 20


def test_flipped_bits_anywhere_in_a_film_are_survived(tmp_path):
    """Boxes, names of tracks and frames are damaged too; FFmpeg's complaints are no errors of ours."""
    import av

    import otolith
    from otolith.core.errors import OtolithError

    path = make_film(tmp_path / "a.mp4", 20, codec="mpeg4")
    add_track(path, walk(2)[0], [0.0, 1.0])
    data, rng = path.read_bytes(), np.random.default_rng(5)
    boxes = data.rindex(b"moov")
    av.logging.set_level(av.logging.PANIC)
    outcomes = {"read": 0, "refused": 0}
    for round_ in range(120):
        damaged = bytearray(data)
        first = boxes if round_ % 2 else 0
        for at in rng.integers(first, len(data), size=3):
            damaged[int(at)] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            otolith.open(path)
            outcomes["read"] += 1
        except OtolithError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 5
    handler = data.replace(b"VideoHandler", b"VideoHandle\xf2")
    assert handler != data
    path.write_bytes(handler)
    assert "imu" in otolith.open(path).streams
