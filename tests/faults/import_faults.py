"""The catalogue of faults: what is damaged, and the check that has to see it."""

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.imu_tables import CHANNELS, G, Table

ACC, GYRO = CHANNELS[:3], CHANNELS[3:]


@dataclass
class Fault:
    """One fault.

    `check` is the finding or error that must appear; `same` the tolerance within which the
    samples must equal the clean ones after the fix (None: they cannot), `share` the share of
    rows for which that must hold.
    """

    name: str
    make: Callable[[Table], bytes]
    check: str
    options: dict[str, Any] = field(default_factory=dict)
    same: float | None = None
    share: float = 1.0
    suffix: str = ".csv"
    refused: bool = False


FAULTS: list[Fault] = []


def fault(check, *, name=None, **settings):
    """Register a function that returns a damaged Table, text or bytes."""

    def add(function):
        def make(table):
            result = function(table.copy())
            result = result.text() if isinstance(result, Table) else result
            return result.encode() if isinstance(result, str) else result

        FAULTS.append(Fault(name or function.__name__, make, check, **settings))
        return function

    return add


def lines_of(table):
    return table.text().splitlines()


def join(lines):
    return "\n".join(lines) + "\n"


# The text of the file


@fault("file.header_rows", same=1e-4)
def junk_above_the_header(table):
    return "Device: X-100\nSerial,12345\n\n# exported on Monday\n" + table.text()


@fault("file.byte_order_mark", same=1e-4)
def byte_order_mark(table):
    return b"\xef\xbb\xbf" + table.text().encode()


@fault("file.encoding", same=1e-4)
def utf16(table):
    return table.text().encode("utf-16")


@fault("file.encoding", same=1e-4)
def latin1(table):
    return table.text().replace("standing", "gehen über Fluß").encode("latin1")


for sign, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), ("  ", "blanks")):
    fault("file.separator", name=f"separated_by_{word}", same=1e-4)(
        lambda table, s=sign: Table(
            {**table.columns, "label": np.full(len(table), "walking")}
        ).text(s)
    )


@fault("file.decimal", same=1e-4)
def decimal_comma(table):
    return table.text(";", ",")


@fault("file.decimal", same=1e-4)
def decimal_comma_in_tabs(table):
    return table.text("\t", ",")


@fault("file.decimal", same=1e-4)
def decimal_comma_in_quotes(table):
    rows = table.text(";", ",").splitlines()
    return join([",".join(f'"{f}"' for f in row.split(";")) for row in rows])


@fault("file.ragged", refused=True)
def decimal_comma_between_commas(table):
    return table.text(",", ",")


@fault("rows.truncated")
def truncated_last_line(table):
    return table.text()[:-60]


@fault("file.end")
def last_value_cut(table):
    del table.columns["label"]
    return table.text()[:-4]


@fault("rows.repeated_header", same=1e-4)
def header_in_the_middle(table):
    lines = lines_of(table)
    return join([*lines[:800], lines[0], *lines[800:]])


@fault("values.text", same=1e-4, share=0.99)
def words_among_numbers(table):
    lines = lines_of(table)
    for i in (500, 501, 900):
        fields = lines[i].split(",")
        fields[2] = "error"
        lines[i] = ",".join(fields)
    return join(lines)


@fault("file.header", refused=True)
def no_header(table):
    return join(lines_of(table)[1:])


@fault("file.units_row", same=1e-4)
def units_below_the_header(table):
    lines = lines_of(table)
    return join([lines[0], "s,m/s^2,m/s^2,m/s^2,rad/s,rad/s,rad/s,", *lines[1:]])


@fault("rows.comment", same=1e-4)
def comments_between_rows(table):
    lines = lines_of(table)
    return join([*lines[:300], "# battery low", *lines[300:600], "# marker", *lines[600:]])


@fault("rows.ragged")
def rows_with_too_many_fields(table):
    lines = lines_of(table)
    lines[400] += ",1,2"
    return join(lines)


@fault("rows.ragged")
def rows_with_too_few_fields(table):
    lines = lines_of(table)
    lines[400] = lines[400].rsplit(",", 3)[0]
    return join(lines)


@fault("file.trailing_separator", same=1e-4)
def trailing_separators(table):
    lines = lines_of(table)
    return join([lines[0], *(line + "," for line in lines[1:])])


@fault("file.zero_bytes", same=1e-4)
def zero_bytes_at_the_end(table):
    return table.text().encode() + b"\0" * 300


@fault("file.empty", refused=True)
def empty_file(table):
    return b""


@fault("file.rows", refused=True)
def header_only(table):
    return lines_of(table)[0] + "\n"


@fault("file.binary", refused=True)
def noise(table):
    return np.random.default_rng(0).integers(1, 256, 5000, dtype=np.uint8).tobytes()


@fault("file.binary", refused=True)
def gzipped(table):
    return gzip.compress(table.text().encode())


def parquet(table, **types):
    arrays = {
        k: pa.array(v.astype(types.get(k, v.dtype)) if v.dtype.kind == "f" else v.tolist())
        for k, v in table.columns.items()
    }
    out = io.BytesIO()
    pq.write_table(pa.table(arrays), out)
    return out.getvalue()


@fault("file.parquet", suffix=".parquet", refused=True)
def truncated_parquet(table):
    return parquet(table)[:-200]


@fault("file.suffix", same=1e-5)
def parquet_called_csv(table):
    return parquet(table)


@fault("values.text", suffix=".parquet", refused=True)
def parquet_with_words(table):
    columns = {k: pa.array(v.tolist()) for k, v in table.columns.items()}
    columns["acc_y"] = pa.array([f"{v} m/s2" for v in table.columns["acc_y"]])
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


# Columns


@fault("columns.duplicate", refused=True)
def column_named_twice(table):
    return table.text().replace("acc_y", "acc_x", 1)


@fault("columns.names", same=1e-4)
def other_names(table):
    return table.text().replace(
        "t,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label",
        "Time (s),Accelerometer X (m/s^2),Accelerometer Y (m/s^2),Accelerometer Z (m/s^2),gyrX,gyrY,gyrZ,Activity",
        1,
    )


@fault("columns.signals", refused=True)
def no_acceleration(table):
    return Table({k: v for k, v in table.columns.items() if k not in ACC}).text()


@fault("columns.missing_axis", refused=True)
def one_axis_missing(table):
    del table.columns["acc_z"]
    return table


@fault("columns.no_gyro")
def no_gyroscope(table):
    return Table({k: v for k, v in table.columns.items() if k not in GYRO})


@fault("columns.ambiguous", refused=True)
def two_columns_for_one_axis(table):
    table.columns["AccelX"] = table.columns["acc_y"]
    return table


@fault("columns.mapping", options={"columns": {"acc_x": "Chanel 1"}}, refused=True)
def mapping_to_nothing(table):
    return table


@fault("columns.swapped_sensors", refused=True)
def sensors_swapped(table):
    for a, g in zip(ACC, GYRO, strict=True):
        table.columns[a], table.columns[g] = table.columns[g], table.columns[a]
    return table


@fault("columns.swapped_sensors", options={"on_swapped_sensors": "swap"}, same=1e-4)
def sensors_swapped_back(table):
    return sensors_swapped(table)


# Time


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


# Values and units


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


# Labels and recordings


@fault("labels.spelling", same=1e-4)
def labels_spelled_differently(table):
    labels = table.columns["label"].astype("<U20")
    index = np.flatnonzero(labels == labels[labels != ""][-1])
    labels[index[::2]] = np.char.upper(labels[index[::2]])
    return Table({**table.columns, "label": labels})


@fault("labels.unlabelled", same=1e-4)
def labels_missing(table):
    labels = table.columns["label"].astype("<U20")
    labels[500:700] = "NaN"
    return Table({**table.columns, "label": labels})


@fault("labels.numeric", same=1e-4)
def labels_are_numbers(table):
    return Table(
        {**table.columns, "label": np.unique(table.columns["label"], return_inverse=True)[1]}
    )


@fault("labels.similar", same=1e-4)
def label_mistyped(table):
    labels = table.columns["label"].astype("<U20")
    index = np.flatnonzero(labels == "standing")
    labels[index[5:12]] = "standng"
    return Table({**table.columns, "label": labels})


@fault("labels.short", same=1e-4)
def label_flickers(table):
    labels = table.columns["label"].astype("<U20")
    index = np.flatnonzero(labels == "standing")
    labels[index[40]] = "walking"
    return Table({**table.columns, "label": labels})


@fault("labels.mixed", same=1e-4)
def words_and_numbers_as_labels(table):
    labels = table.columns["label"].astype("<U20")
    labels[labels == "walking"] = "3"
    return Table({**table.columns, "label": labels})


@fault("labels.none", same=1e-4)
def no_label_column(table):
    del table.columns["label"]
    return table


@fault("labels.none", same=1e-4)
def label_column_empty(table):
    return Table({**table.columns, "label": np.full(len(table), "")})


@fault("rows.no_recording", refused=True)
def recording_ids_missing(table):
    ids = np.full(len(table), "a")
    ids[10:20] = ""
    return Table({"recording_id": ids, **table.columns})


@fault("rows.recordings", same=1e-4)
def two_people_in_one_recording(table):
    half = len(table) // 2
    people = np.r_[np.full(half, "anna"), np.full(len(table) - half, "bert")]
    return Table({"recording_id": np.full(len(table), "a"), "subject": people, **table.columns})


@fault("rows.recordings", same=1e-4)
def two_people_and_no_recording_id(table):
    half = len(table) // 2
    people = np.r_[np.full(half, "anna"), np.full(len(table) - half, "bert")]
    return Table({"subject": people, **table.columns})


@fault("rows.interleaved", same=1e-4)
def recordings_interleaved(table):
    half = len(table) // 2
    ids = np.r_[np.full(half, "a"), np.full(len(table) - half, "b")]
    index = np.concatenate(
        [
            np.r_[i : min(i + 100, half), half + i : min(half + i + 100, len(table))]
            for i in range(0, half + 1, 100)
        ]
    )
    return Table({"recording_id": ids, **table.columns}).rows(index)
