"""What a stream lacks is measured from its samples, not believed."""

import dataclasses

import numpy as np
import pytest
from tests.support.windows_data import imu, recording

from otolith.recordings import Quality
from otolith.recordings.store import write_data_folder
from otolith.recordings.store_tables import measured_quality


def with_gap(share, quality=None):
    stream = imu(100)
    samples = stream.samples_TC.copy()
    samples[: int(100 * share)] = np.nan
    return dataclasses.replace(stream, samples_TC=samples, quality=quality or Quality())


def test_missing_samples_lower_the_share_that_was_stated():
    assert measured_quality(with_gap(0.25)).valid_fraction == pytest.approx(0.75)
    assert measured_quality(with_gap(0.0)).valid_fraction == 1.0


def test_a_reader_may_state_less_than_the_samples_show():
    stated = Quality(flag="suspect", valid_fraction=0.5, notes=("interpolated",))
    assert measured_quality(with_gap(0.25, stated)) == stated


def test_the_store_keeps_the_measured_share(tmp_path):
    folder = write_data_folder(tmp_path / "d", [recording("a", with_gap(0.4))], name="d", card={})
    quality = folder.recording("a").imus["imu"].quality
    assert quality.valid_fraction == pytest.approx(0.6)
