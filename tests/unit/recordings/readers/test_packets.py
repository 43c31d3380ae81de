"""Packets on a regular clock: rate, offset, gaps."""

import numpy as np
import pytest

from otolith.recordings.readers.packets import Packet, join_packets


def packets(counts, *, duration_s=1.0, skip=(), stamps_hz=None):
    made, done = [], 0
    for i, count in enumerate(counts):
        values = np.arange(done, done + count, dtype=float)[:, None]
        stamp = None if stamps_hz is None else 5_000_000 + round(done / stamps_hz * 1e6)
        if i not in skip:
            made.append(Packet(i * duration_s, duration_s, values, stamp))
        done += count
    return made


def test_the_rate_is_the_slope_of_the_packets_times():
    timed = join_packets(packets([100] * 6))
    assert timed.rate_hz == pytest.approx(100.0)
    np.testing.assert_allclose(timed.times_N, np.arange(600) / 100.0, atol=1e-9)
    assert timed.num_gaps == 0
    assert timed.error_s == pytest.approx(0.0, abs=1e-9)


def test_packets_that_hold_one_sample_more_or_less_share_one_clock():
    timed = join_packets(packets([198, 197, 198, 197, 198, 197, 197, 198]))
    assert timed.rate_hz == pytest.approx(197.5, rel=1e-3)
    assert np.ptp(np.diff(timed.times_N)) < 1e-9
    assert 0.0 < timed.error_s < 0.006


def test_the_devices_stamps_give_the_rate_if_all_packets_have_one():
    timed = join_packets(packets([200] * 5, stamps_hz=199.0))
    assert timed.by_stamps
    assert timed.rate_hz == pytest.approx(199.0, rel=1e-5)
    some = packets([200] * 5, stamps_hz=199.0)
    some[2] = Packet(some[2].start_s, 1.0, some[2].values_NC)
    assert join_packets(some).rate_hz == pytest.approx(200.0)


def test_absurd_stamps_are_not_believed():
    timed = join_packets(packets([200] * 5, stamps_hz=77.0))
    assert not timed.by_stamps
    assert timed.rate_hz == pytest.approx(200.0)


def test_a_missing_packet_leaves_a_gap_of_its_length():
    timed = join_packets(packets([100] * 6, skip=(2, 3)))
    assert timed.num_gaps == 1
    steps = np.diff(timed.times_N)
    assert steps.max() == pytest.approx(2.01)
    assert steps.argmax() == 199
    np.testing.assert_allclose(timed.values_NC[:, 0] / 100.0, timed.times_N, atol=1e-9)


def test_one_packet_is_spread_over_its_length():
    timed = join_packets(packets([50], duration_s=0.5))
    assert timed.rate_hz == pytest.approx(100.0)
    assert timed.times_N[-1] == pytest.approx(0.49)


def test_packets_that_all_stand_alone_take_the_rate_of_their_length():
    timed = join_packets(packets([100] * 5, skip=(1, 3)))
    assert timed.rate_hz == pytest.approx(100.0)
    assert timed.num_gaps == 2
