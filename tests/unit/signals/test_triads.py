import pytest

from otolith.signals.triads import (
    axis_name,
    body_site,
    find_triads,
    sensor_name,
    triad_name,
    wearing_site,
)


@pytest.mark.parametrize(
    ("channel", "triad", "axis", "sensor", "site"),
    [
        ("acc_x", "acc", "x", "acc", ""),
        ("gyro_z", "gyro", "z", "gyro", ""),
        ("left_wrist_gyro_y", "left_wrist_gyro", "y", "gyro", "left_wrist"),
        ("hand_acc16_x", "hand_acc16", "x", "acc", "hand_acc16"),
        ("phone_accel_x", "phone_accel", "x", "acc", "phone_accel"),
        ("chest_ori_4", "chest_ori", "4", "ori", "chest"),
        ("body_acc_norm", "body_acc", "norm", "acc", "body"),
        ("pressure", "pressure", "", "", "pressure"),
        ("gravity_x", "gravity", "x", "gravity", "gravity"),
    ],
)
def test_names(channel, triad, axis, sensor, site):
    assert triad_name(channel) == triad
    assert axis_name(channel) == axis
    assert sensor_name(channel) == sensor
    assert body_site(channel) == site


@pytest.mark.parametrize(
    ("channel", "site"),
    [("hand_acc16_x", "hand"), ("hand_gyro_y", "hand"), ("acc_x", ""), ("phone_accel", "phone")],
)
def test_wearing_site(channel, site):
    assert wearing_site(channel) == site


def test_triads_in_any_column_order():
    names = ["gyro_z", "acc_x", "gyro_x", "acc_z", "gyro_y", "acc_y", "acc_norm", "mag_x", "mag_y"]
    assert find_triads(names) == {"gyro": (2, 4, 0), "acc": (1, 5, 3)}


def test_quaternions_and_numbered_axes_are_no_triads():
    assert find_triads(["ori_w", "ori_x", "ori_y", "ori_z"]) == {}
    assert find_triads(["ori_1", "ori_2", "ori_3", "ori_4"]) == {}
