"""Faults of time."""

import numpy as np
from tests.faults.fault_catalogue import fault
from tests.faults.faults_of_text_and_columns import parquet
from tests.faults.imu_tables import Table


@fault("time.epoch", same=2e-3)
def epoch_seconds(table):
    table.columns["t"] += 1.7e9
    return table


for unit, factor, offset in (
    ("ms", 1e3, 0.0),
    ("us", 1e6, 0.0),
    ("ns", 1e9, 1.7e18),
    ("ms", 1e3, 1.7e12),
):

    def in_unit(table, factor=factor, offset=offset):
        stamps = np.rint(table.columns["t"] * factor).astype(np.int64) + int(offset)
        return Table({**table.columns, "t": stamps})

    fault("time.unit", name=f"{'epoch_' if offset else ''}{unit}", same=1e-4)(in_unit)


def iso(table, zone="", back_at=None):
    start = np.datetime64("2024-03-31T01:30:00.000", "ns")
    stamps = start + np.rint(table.columns["t"] * 1e9).astype("timedelta64[ns]")
    if back_at is not None:
        stamps[back_at:] -= np.timedelta64(3600, "s")
    texts = np.array([s[:23] + zone for s in np.datetime_as_string(stamps, unit="ms")])
    return Table({**table.columns, "t": texts})


@fault("time.format", same=1e-4)
def iso_dates(table):
    return iso(table)


@fault("time.format", same=1e-4)
def iso_dates_with_zone(table):
    return iso(table, zone="+02:00")


@fault("time.backward", refused=True)
def daylight_saving(table):
    return iso(table, back_at=2000)


@fault("time.format", same=1e-4)
def times_of_day(table):
    t = table.columns["t"] + 9 * 3600 + 1800
    texts = [f"{int(s // 3600):02d}:{int(s // 60) % 60:02d}:{s % 60:06.3f}" for s in t]
    return Table({**table.columns, "t": np.array(texts)})


@fault("time.format", refused=True)
def dates_of_unknown_form(table):
    return Table({**table.columns, "t": np.array([f"day {i} at noon" for i in range(len(table))])})


@fault("rows.duplicate", same=1e-4)
def duplicated_rows(table):
    index = np.sort(np.r_[np.arange(len(table)), [100, 101, 102, 900]])
    return table.rows(index)


@fault("rows.duplicate", options={"on_backward_time": "sort"}, same=1e-4)
def block_written_twice(table):
    return table.rows(np.r_[np.arange(1000), np.arange(800, len(table))])


@fault("time.duplicate")
def stamps_repeated(table):
    t = table.columns["t"]
    t[501:504] = t[500]
    return table


@fault("time.duplicate")
def stamps_of_whole_seconds(table):
    table.columns["t"] = np.floor(table.columns["t"])
    return table


@fault("time.duplicate")
def stamps_in_bursts(table):
    table.columns["t"] = table.columns["t"][np.arange(len(table)) // 10 * 10]
    return table


@fault("time.backward", refused=True)
def two_rows_swapped(table):
    index = np.arange(len(table))
    index[[700, 701]] = index[[701, 700]]
    return table.rows(index)


@fault("time.backward", options={"on_backward_time": "sort"}, same=1e-4)
def two_rows_swapped_and_sorted(table):
    return two_rows_swapped(table)


@fault("time.backward", options={"on_backward_time": "sort"}, same=1e-4)
def shuffled_and_sorted(table):
    return table.rows(np.random.default_rng(1).permutation(len(table)))


@fault("time.backward", refused=True)
def recordings_glued_together(table):
    half = len(table) // 2
    table.columns["t"][half:] -= table.columns["t"][half]
    return table


@fault("time.backward", options={"on_backward_time": "split"}, same=1e-4)
def recordings_glued_and_split(table):
    return recordings_glued_together(table)


@fault("time.gap", same=1e-4, share=0.9)
def gap_of_three_seconds(table):
    return table.rows(np.r_[np.arange(1000), np.arange(1150, len(table))])


@fault("time.gap", refused=True)
def gap_of_an_hour(table):
    table.columns["t"][1000:] += 3600.0
    return table


@fault("time.gap", options={"on_gap": "split"}, same=1e-4)
def gap_of_an_hour_and_split(table):
    return gap_of_an_hour(table)


@fault("time.hole", same=1e-4, share=0.99)
def three_rows_lost(table):
    return table.rows(np.r_[np.arange(1000), np.arange(1003, len(table))])


@fault("time.jitter", same=2.0, share=0.95)
def jittered_stamps(table):
    rng = np.random.default_rng(2)
    table.columns["t"] += rng.uniform(-0.008, 0.008, len(table))
    return table


@fault("time.missing_stamp", same=1e-4, share=0.99)
def stamps_missing(table):
    table.columns["t"][[300, 301, 900]] = np.nan
    return table


@fault("rate.contradiction", same=1e-4)
def wrong_rate_above_the_header(table):
    return "Sampling rate: 100 Hz\n" + table.text()


@fault("rate.contradiction", options={"rate_hz": 100.0}, same=1e-4)
def wrong_rate_of_the_user(table):
    return table


@fault("rate.unknown", refused=True)
def no_time_and_no_rate(table):
    del table.columns["t"]
    return table


@fault("time.none", options={"rate_hz": 50.0}, same=1e-4)
def no_time(table):
    del table.columns["t"]
    return table


@fault("rate.turning", options={"rate_hz": 100.0, "unit_gyro": "rad/s"})
def no_time_and_a_wrong_rate(table):
    del table.columns["t"]
    return table


@fault("time.constant", refused=True)
def time_stands_still(table):
    table.columns["t"][:] = 12.0
    return table


@fault("time.steps", refused=True)
def unit_of_time_changes(table):
    half = len(table) // 2
    table.columns["t"][half:] *= 1000.0
    return table


@fault("time.unit", refused=True)
def time_in_minutes(table):
    table.columns["t"] /= 60
    return table


@fault("time.hole")
def rate_halves(table):
    half = len(table) // 2
    return table.rows(np.r_[np.arange(half), np.arange(half, len(table), 2)])


@fault("time.precision", suffix=".parquet", refused=True)
def epoch_in_single_precision(table):
    table.columns["t"] += 1.7e9
    return parquet(table, t=np.float32)


@fault("time.counter_wrap", options={"rate_hz": 50.0}, same=1e-4)
def counter_overflows(table):
    table.columns["sample"] = np.arange(len(table)) % 256
    del table.columns["t"]
    return table


@fault("time.counter_jump", same=1e-4)
def counter_jumps(table):
    table.columns["sample"] = np.arange(len(table))
    table.columns["sample"][1000:] += 7
    return table


@fault("time.gap", options={"rate_hz": 50.0})
def counter_shows_lost_rows(table):
    table.columns["sample"] = np.arange(len(table))
    table.columns["sample"][1000:] += 25
    del table.columns["t"]
    return table


@fault("rows.order", options={"rate_hz": 50.0, "unit_gyro": "rad/s"})
def shuffled_without_time(table):
    del table.columns["t"]
    return table.rows(np.random.default_rng(1).permutation(len(table)))


@fault("rows.repeated", options={"rate_hz": 50.0})
def every_row_twice_without_time(table):
    del table.columns["t"]
    return table.rows(np.repeat(np.arange(len(table)), 2))
