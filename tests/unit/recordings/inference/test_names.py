"""What column names say."""

import pytest

from otolith.recordings.inference.names import known_unit, role_name, signal_name, split_unit


@pytest.mark.parametrize(
    ("name", "device", "sensor", "axis", "unit"),
    [
        ("acc_x", "", "acc", "x", ""),
        ("AccX", "", "acc", "x", ""),
        ("accelerometerY", "", "acc", "y", ""),
        ("Accel Z (g)", "", "acc", "z", "g"),
        ("Acceleration x [m/s^2]", "", "acc", "x", "m/s2"),
        ("acc_x_mg", "", "acc", "x", "mg"),
        ("ay", "", "acc", "y", ""),
        ("gx", "", "gyro", "x", ""),
        ("wz", "", "gyro", "z", ""),
        ("Gyr_Y", "", "gyro", "y", ""),
        ("gyroscope z (°/s)", "", "gyro", "z", "deg/s"),
        ("gyro_x_dps", "", "gyro", "x", "deg/s"),
        ("rotationRate.x", "", "gyro", "x", ""),
        ("phone_acc_x", "phone", "acc", "x", ""),
        ("left_wrist_gyro_z", "left_wrist", "gyro", "z", ""),
        ("magnetometer_x", "", "mag", "x", ""),
        ("x-axis acceleration", "", "acc", "x", ""),
        ("watch.acc2.y", "watch", "acc", "y", ""),
    ],
)
def test_signal_names(name, device, sensor, axis, unit):
    found = signal_name(name)
    assert found is not None
    assert (found.device, found.sensor, found.axis, found.unit) == (device, sensor, axis, unit)
    assert not found.is_linear


@pytest.mark.parametrize("name", ["userAcceleration.x", "linear_acc_x", "bodyacc_x", "body_acc_x"])
def test_names_of_acceleration_without_gravity(name):
    assert signal_name(name).is_linear


@pytest.mark.parametrize(
    "name", ["label", "temperature", "accuracy", "x", "heart_rate", "", "gravity"]
)
def test_names_of_no_signal(name):
    assert signal_name(name) is None


@pytest.mark.parametrize(
    ("name", "role", "unit"),
    [("t", "t", ""), ("Time (s)", "t", "s"), ("timestamp_ms", "t", "ms"), ("Time [ns]", "t", "ns"),
     ("seconds_elapsed", "t", ""), ("Sample", "sample", ""), ("PacketCounter", "sample", ""),
     ("window_id", "recording_id", ""), ("Participant ID", "subject", ""), ("Activity", "label", ""),
     ("sensor location", "placement", ""), ("side", "side", "")],
)  # fmt: skip
def test_roles(name, role, unit):
    assert role_name(name) == (role, unit)


def test_units():
    assert known_unit(" [m/s²] ") == "m/s2"
    assert known_unit("DPS") == "deg/s"
    assert known_unit("parsec") == ""
    assert split_unit("accX (mg)") == ("acc_x", "mg")
