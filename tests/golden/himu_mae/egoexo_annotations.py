"""The list of windows of Ego-Exo4D and its division."""

from otolith.datasets._egoexo4d_windows import Quirks, is_validation, list_windows


def run(case):
    s = case.settings
    takes = case.json("takes.json")
    times = {
        take["take_name"]: [
            case.io[f"{take['take_name']}.{side}"].numpy() for side in ("left", "right")
        ]
        for take in takes
        if f"{take['take_name']}.left" in case.io
    }
    windows, stopped = list_windows(
        takes, times, missing=s["missing_takes"], window_s=s["window_seconds"],
        clip_s=s["clip_frames"] / s["fps"], stride_s=s["stride_frames"] / s["fps"],
        quirks=Quirks.upstream(),
    )  # fmt: skip
    parts = {True: [], False: []}
    for w in windows:
        key = is_validation(w.take_uid, s["keystep_train_uids"], s["keystep_val_uids"])
        parts[key].append([w.take_name, w.feature_row])
    return {
        "windows/*/take_name": [w.take_name for w in windows],
        "windows/*/take_uid": [w.take_uid for w in windows],
        "windows/*/omnivore_idx": [w.feature_row for w in windows],
        "windows/*/start_sec": [w.start_s for w in windows],
        "windows/*/end_sec": [w.end_s for w in windows],
        "windows/*/effective_start_sec": [w.first_common_s for w in windows],
        "stopped_at": [
            {"take_name": name, "take_uid": uid, "omnivore_idx": row} for name, uid, row in stopped
        ],
        "train": parts[False],
        "valid": parts[True],
    }
