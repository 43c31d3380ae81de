"""The importer finds units, gravity and rate of real data sets, and raises no false alarm."""

import numpy as np
import pytest
from tests.golden.harness import SHARED

from otolith.core.errors import DataError
from otolith.recordings.reading import ReadOptions, read_recordings, summarize_files

IMU = SHARED / "data" / "imu"
pytestmark = pytest.mark.skipif(not IMU.exists(), reason="the shared recordings are absent")
TRUTH = {  # file: (acc, gyro, gravity, rates, streams, rate that the file does not tell)
    "basicmotions/basicmotions": ("m/s2", "rad/s", "removed", (10,), {"imu"}, 10),
    "crowdsignal_phone_watch/crowdsignal_phone_watch": ("m/s2", "rad/s", "included", (50,), {"phone", "watch"}, None),
    "hapt/hapt": ("g", "rad/s", "included", (50,), {"imu"}, 50),
    "seglearn_watch/seglearn_watch": ("g", "rad/s", "included", (50,), {"imu"}, 50),
    "sisfall/sisfall_200hz_SA01": ("g", "deg/s", "included", (200,), {"imu"}, 200),
    "sisfall/sisfall_50hz_SA01-SA16": ("g", "deg/s", "included", (50,), {"imu"}, 50),
    "uci_har_test/uci_har_test_windows": ("g", "rad/s", "included, removed", (50,), {"imu", "linear"}, 50),
    "umafall/umafall_20hz": ("g", "deg/s", "included", (20,), {"wrist", "chest", "waist", "ankle"}, None),
    "utd_mhad/utd_mhad_imu_S1-S6": ("g", "deg/s", "included", (50,), {"imu"}, 50),
    "wisdm2019_phone10/wisdm2019_phone10": ("m/s2", "rad/s", "included", (20, 25, 50), {"imu"}, None),
}  # fmt: skip
# In UMAFall, gravity turns as -x, y, -z of the gyroscope say, on all four body sites and with
# the factor of deg/s: its two sensors do not share their axes, so this alarm is right.
TRUE_ALARMS = {"umafall/umafall_20hz": {"axes.frame"}}
NUM_RECORDINGS = {
    "hapt/hapt": 61,
    "umafall/umafall_20hz": 726,
    "sisfall/sisfall_50hz_SA01-SA16": 2459,
}


@pytest.fixture(scope="module", params=TRUTH)
def case(request):
    rate = TRUTH[request.param][-1]
    path = IMU / f"{request.param}.parquet"
    return request.param, path, read_recordings(path, ReadOptions(rate_hz=rate))


def test_units_gravity_rate_and_streams(case):
    name, _, recordings = case
    acc, gyro, gravity, rates, streams, _ = TRUTH[name]
    [summary] = summarize_files(recordings)
    assert summary.unit_acc == acc
    assert summary.unit_gyro == gyro
    assert summary.gravity == gravity
    assert summary.rates_hz == rates
    assert set(summary.streams) == streams
    assert len(recordings) == NUM_RECORDINGS.get(name, len(recordings))


def test_no_false_alarm(case):
    name, _, recordings = case
    alarms = {f.check for r in recordings for f in r.findings if f.status == "warning"}
    assert alarms == TRUE_ALARMS.get(name, set())


def test_values_are_in_si_units(case):
    name, _, recordings = case
    if TRUTH[name][2] == "removed":
        pytest.skip("gravity was removed")
    stream = next(iter(recordings[0].streams.values()))
    norm = np.linalg.norm(stream.samples_TC[:, :3], axis=1)
    assert 8.5 < np.nanmedian(norm) < 12.5
    assert stream.samples_TC.dtype == np.float32


@pytest.mark.parametrize("name", ["hapt/hapt", "basicmotions/basicmotions"])
def test_rate_is_asked_for_where_the_file_does_not_tell(name):
    with pytest.raises(DataError, match=r"rate\.unknown.*Pass rate_hz"):
        read_recordings(IMU / f"{name}.parquet")


def test_even_files_keep_their_samples():
    import pyarrow.parquet as pq

    path = IMU / "hapt" / "hapt.parquet"
    table = pq.read_table(path, columns=["acc_x", "gyro_z"])
    recordings = read_recordings(path, ReadOptions(rate_hz=50))
    ours = np.concatenate([r.streams["imu"].samples_TC for r in recordings])
    expected = table["acc_x"].to_numpy() * np.float32(9.80665)
    np.testing.assert_allclose(ours[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(ours[:, 5], table["gyro_z"].to_numpy())


def test_mirrored_axes_of_umafall_can_be_fixed():
    recordings = read_recordings(
        IMU / "umafall" / "umafall_20hz.parquet", ReadOptions(on_axis_mismatch="fix")
    )
    found = {f for r in recordings for f in r.findings if f.check == "axes.frame"}
    assert {f.status for f in found} == {"fixed"}
    assert all("gyro x = -x, y = y, z = -z" in f.evidence for f in found)
