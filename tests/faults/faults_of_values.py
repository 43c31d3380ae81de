"""Faults of values and units."""

import numpy as np
from tests.faults.fault_catalogue import ACC, GYRO, fault
from tests.faults.imu_tables import CHANNELS, G


@fault("values.missing", same=1e-4, share=0.9)
def missing_block(table):
    for channel in ACC:
        table.columns[channel][1000:1080] = np.nan
    return table


@fault("values.missing", same=0.6, share=0.99, options={"on_nan": "interpolate"})
def missing_here_and_there(table):
    table.columns["gyro_y"][np.random.default_rng(0).choice(len(table), 40, replace=False)] = np.nan
    return table


@fault("values.infinite", same=1e-4, share=0.99)
def infinite_values(table):
    table.columns["acc_x"][[50, 800]] = np.inf
    return table


@fault("values.sentinel", same=1e-4, share=0.99)
def sentinels(table):
    for channel in CHANNELS:
        table.columns[channel][600:610] = -999.0
    return table


@fault("values.dropout")
def zeros_where_the_link_broke(table):
    for channel in CHANNELS:
        table.columns[channel][600:660] = 0.0
    return table


@fault("values.empty", refused=True)
def empty_channel(table):
    table.columns["gyro_x"][:] = np.nan
    return table


def scaled(table, channels, factor):
    for channel in channels:
        table.columns[channel] = table.columns[channel] * factor
    return table


@fault("units.acc", same=1e-3)
def acceleration_in_g(table):
    return scaled(table, ACC, 1 / G)


@fault("units.acc", same=1e-3)
def acceleration_in_milli_g(table):
    return scaled(table, ACC, 1000 / G)


@fault("units.acc", refused=True)
def acceleration_in_counts(table):
    return scaled(table, ACC, 16384 / G)


@fault("units.gyro", same=1e-3)
def angular_rate_in_degrees(table):
    return scaled(table, GYRO, 180 / np.pi)


@fault("units.gyro", refused=True)
def angular_rate_in_millidegrees(table):
    return scaled(table, GYRO, 180_000 / np.pi)


@fault("units.mixed", refused=True)
def unit_changes_in_the_middle(table):
    half = len(table) // 2
    for channel in ACC:
        table.columns[channel][half:] /= G
    return table


@fault("units.acc", options={"unit_acc": "g"})
def user_states_g_wrongly(table):
    return table


@fault("units.gyro", options={"unit_gyro": "deg/s"})
def user_states_degrees_wrongly(table):
    return table


@fault("gravity", options={"gravity": "removed"})
def user_states_gravity_wrongly(table):
    return table


@fault("units.acc")
def header_states_g_wrongly(table):
    return table.text().replace("acc_x,acc_y,acc_z", "acc_x (g),acc_y (g),acc_z (g)", 1)


def without_gravity(table):
    for channel in ACC:
        x = table.columns[channel]
        kernel = np.ones(75) / 75
        table.columns[channel] = x - np.convolve(np.pad(x, 37, mode="edge"), kernel, "valid")
    return table


@fault("gravity", options={"unit_acc": "m/s2", "unit_gyro": "rad/s"})
def gravity_removed(table):
    return without_gravity(table)


@fault("gravity")
def linear_by_name_but_with_gravity(table):
    return table.text().replace("acc_x,acc_y,acc_z", "linear_acc_x,linear_acc_y,linear_acc_z", 1)


@fault("values.acc_scale")
def scale_is_wrong(table):
    return scaled(table, ACC, 1.15)


@fault("axes.frame")
def gyroscope_axes_swapped(table):
    c = table.columns
    c["gyro_x"], c["gyro_y"] = c["gyro_y"], c["gyro_x"]
    return table


@fault("axes.frame")
def gyroscope_axis_mirrored(table):
    return scaled(table, ["gyro_z"], -1.0)


@fault("axes.frame")
def accelerometer_axis_mirrored(table):
    return scaled(table, ["acc_y"], -1.0)


@fault("axes.frame")
def accelerometer_axes_rotated(table):
    c = table.columns
    c["acc_x"], c["acc_y"], c["acc_z"] = c["acc_y"], c["acc_z"], c["acc_x"]
    return table


@fault("axes.frame", options={"on_axis_mismatch": "fix"}, same=1e-4)
def gyroscope_axes_swapped_and_fixed(table):
    return scaled(gyroscope_axes_swapped(table), ["gyro_z"], -1.0)


@fault("values.constant")
def constant_axis(table):
    table.columns["gyro_y"][:] = 0.25
    return table


@fault("values.stuck")
def stuck_axis(table):
    table.columns["acc_z"][1000:1400] = table.columns["acc_z"][1000]
    return table


@fault("values.saturated")
def clipped(table):
    for channel in ACC:
        x = table.columns[channel]
        table.columns[channel] = np.clip(x, *np.quantile(x, [0.03, 0.97]))
    return table


@fault("values.spike")
def spikes(table):
    table.columns["acc_x"][[400, 1200]] += 300.0
    return table


@fault("values.spike", options={"on_spike": "nan", "on_nan": "interpolate"}, same=1e-4, share=0.99)
def spikes_removed(table):
    return spikes(table)


@fault("values.doubled")
def one_axis_copied(table):
    table.columns["acc_y"] = table.columns["acc_x"].copy()
    return table


@fault("values.coarse")
def rounded_to_whole_numbers(table):
    for channel in CHANNELS:
        table.columns[channel] = np.rint(table.columns[channel])
    return table
