"""Rows with time stamps and labels become regular pieces."""

import numpy as np
import pytest

from otolith.datasets._rows import regular_pieces


def pieces(times_s, codes=None, **settings):
    times_s = np.asarray(times_s, np.float64)
    samples = np.stack([times_s, -times_s], axis=1)
    codes = np.zeros(len(times_s), np.int64) if codes is None else np.asarray(codes)
    settings = {"rate_hz": 50.0, "max_gap_s": 1.0, "max_error_s": 0.1, **settings}
    return list(regular_pieces(times_s, samples, codes, **settings))


def checks(piece):
    return [f.check for f in piece.findings]


def test_rounded_stamps_keep_samples_and_the_nominal_rate():
    times = np.round(np.arange(500) / 50.0, 2) + np.tile([0, 0.001], 250)
    (piece,) = pieces(times, codes=np.arange(500) % 7)
    assert piece.rate_hz == 50.0
    assert piece.samples_TC[:, 0].tolist() == times.tolist()
    assert piece.codes_T.tolist() == (np.arange(500) % 7).tolist()
    assert (piece.findings, piece.quality.flag) == ((), "good")


def test_another_rate_is_measured_and_told():
    (piece,) = pieces(np.arange(50000) / 50.1)
    assert piece.rate_hz == pytest.approx(50.1)
    assert len(piece.samples_TC) == 50000
    assert checks(piece) == ["time.rate"]


def test_holes_split_and_lone_rows_are_told():
    times = np.r_[np.arange(100) / 50, 5.0, 10 + np.arange(50) / 50]
    found = pieces(times, codes=np.r_[np.full(100, 1), 2, np.full(50, 3)])
    assert [(len(p.samples_TC), set(p.codes_T.tolist()), p.start_s) for p in found] == [
        (100, {1}, 0.0), (50, {3}, 10.0),
    ]  # fmt: skip
    assert checks(found[0]) == ["time.gap", "time.single"]


def test_irregular_stamps_are_interpolated_with_their_labels():
    times = np.r_[np.arange(100) / 50, 2.6 + np.arange(100) / 50]
    (piece,) = pieces(times, codes=np.repeat([4, 8], 100))
    assert piece.quality.flag == "suspect"
    assert checks(piece) == ["time.jitter"]
    assert len(piece.samples_TC) == 230
    np.testing.assert_allclose(piece.samples_TC[:, 0], np.arange(230) / 50.0, atol=1e-9)
    assert np.flatnonzero(np.diff(piece.codes_T)).tolist() == [114]


def test_stamps_that_go_back_are_sorted_and_told():
    times = np.arange(100) / 50.0
    times[[10, 11]] = times[[11, 10]]
    (piece,) = pieces(times)
    assert checks(piece) == ["time.backward"]
    assert (np.diff(piece.samples_TC[:, 0]) > 0).all()
    assert pieces([1.0]) == []
