"""Faults of the text of a file and of its columns."""

import gzip
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.fault_catalogue import ACC, GYRO, fault, join, lines_of
from tests.faults.imu_tables import Table


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
