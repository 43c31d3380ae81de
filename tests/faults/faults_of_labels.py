"""Faults of labels and recordings."""

import numpy as np
from tests.faults.fault_catalogue import fault
from tests.faults.imu_tables import Table


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
