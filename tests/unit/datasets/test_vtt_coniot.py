"""VTT-ConIoT: three sensors, units from the column names, native 100 Hz, level check."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds3 as ds3
from tests.fixtures.tidy import G, close

from otolith.core.errors import FileFormatError
from otolith.datasets import vtt_coniot


def read(root, **settings):
    return list(vtt_coniot.recordings(vtt_coniot.Config(root=root, **settings)))


@pytest.fixture
def sensors():
    return ds3.vtt_sensors(np.random.default_rng(0))


def test_units_rate_and_placements_of_all_sensors(tmp_path, sensors):
    ds3.write_vtt_coniot(tmp_path, 9, 3, sensors)
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("u03_laying_back", "3")
    assert list(recording.streams) == ["trousers", "back", "hand"]
    for name, stream in recording.imus.items():
        acc, gyro, mag = sensors[name]
        close(stream.samples_TC, np.concatenate([acc * G, np.deg2rad(gyro), mag], axis=1))
        assert stream.rate_hz == 100.0
        assert [c.unit for c in stream.channels[::3]] == ["m/s^2", "rad/s", "uT"]
    places = [s.channels[0].placement for s in recording.imus.values()]
    assert places == ["hip", "back", "upper arm"]
    assert recording.annotations[0].end_s == 3.0


def test_activities_are_numbered_as_published(tmp_path, sensors):
    for activity in range(1, 17):
        ds3.write_vtt_coniot(tmp_path, activity, 1, {"back": sensors["back"]})
    labels = {r.attributes["activity"]: r.annotations[0].labels[0] for r in read(tmp_path)}
    assert [labels[str(n)] for n in range(1, 17)] == list(vtt_coniot.LABELS)
    assert labels["1"] == "roll_painting"
    assert labels["16"] == "stairs"


def test_doubled_acceleration_is_told_and_can_be_corrected(tmp_path):
    rng = np.random.default_rng(1)
    ds3.write_vtt_coniot(tmp_path, 1, 1, ds3.vtt_sensors(rng, gravity=2.0))
    (wrong,) = read(tmp_path)
    levels = [f for f in wrong.findings if f.check == "units.acc_level"]
    assert {f.status for f in levels} == {"warning"}
    assert "acc_scale=0.5" in levels[0].remedy
    (right,) = read(tmp_path, acc_scale=0.5)
    assert {f.status for f in right.findings if f.check == "units.acc_level"} == {"ok"}
    assert "units.acc_scale" in {f.check for f in right.findings}
    norm = np.linalg.norm(right.streams["hand"].samples_TC[:, :3], axis=1)
    assert np.median(norm) == pytest.approx(G, rel=0.02)


def test_a_missing_sensor_is_told_and_empty_cells_are_missing_values(tmp_path, sensors):
    sensors["hand"][1][5] = np.nan
    ds3.write_vtt_coniot(tmp_path, 1, 1, {k: sensors[k] for k in ("trousers", "hand")})
    (recording,) = read(tmp_path)
    assert list(recording.streams) == ["trousers", "hand"]
    assert "stream.missing" in {f.check for f in recording.findings}
    assert np.isnan(recording.streams["hand"].samples_TC[5, 3:6]).all()


def test_other_files_and_columns_are_refused(tmp_path, sensors):
    path = ds3.write_vtt_coniot(tmp_path, 17, 1, sensors)
    with pytest.raises(FileFormatError, match="activity_17_user_1"):
        read(tmp_path)
    good = path.with_name("activity_1_user_1_combined.csv")
    path.rename(good)
    good.write_text(good.read_text().replace("back_Gy_dps", "back_Gy_rad"))
    with pytest.raises(FileFormatError, match='no column "back_Gy_dps"'):
        read(tmp_path)
    good.write_text("time,x\n0,1\n")
    with pytest.raises(FileFormatError, match="trousers_Ax_g"):
        read(tmp_path)


def test_no_painting_is_walking():
    assert vtt_coniot.CARD.label_groups["roll_painting"] == "painting"
    assert vtt_coniot.CARD.label_groups["walking_winding"] == "walking"
