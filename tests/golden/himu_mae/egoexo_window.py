"""Samples of Ego-Exo4D windows: selection in float32, resampling, cutting and filling."""

import numpy as np
import torch

from otolith.datasets._egoexo4d_windows import Quirks, fit_window, select_samples
from otolith.signals.spectrogram import resample_sinc

QUIRKS = Quirks.upstream()


def window_of(case, window):
    """Number of samples, signal after resampling, and window, of one entry of the settings."""
    s, io = case.settings, case.io
    p = s["spectrogram"]
    times = io[f"{window['take']}.timestamps"].numpy()
    values = io[f"{window['take']}.values"]
    inside = select_samples(
        times, window["start_sec"], window["end_sec"], times[0],
        in_float32=QUIRKS.timestamps_float32,
    )  # fmt: skip
    num = 6 if "gyro" in s["sensors"] else 3
    signal = values[torch.from_numpy(inside)][:, :num].T
    resampled = resample_sinc(signal, s["source_rate"], p["sampling_rate"])
    fitted = fit_window(
        resampled.numpy(), p["sampling_rate"], p["window_size"], window["start_sec"], QUIRKS
    )
    assert fitted.shape[1] == s["output_samples"]
    return int(inside.sum()), resampled, torch.from_numpy(np.ascontiguousarray(fitted))


def run(case):
    got, counts = {}, []
    for i, window in enumerate(case.settings["windows"]):
        count, resampled, fitted = window_of(case, window)
        counts.append(count)
        got |= {f"resampled_{i}": resampled, f"window_{i}": fitted}
    return got | {"selected_count": np.array(counts)}
