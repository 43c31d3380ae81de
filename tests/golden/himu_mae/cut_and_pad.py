"""Cutting and filling of windows, with the authors' slip of slicing channels."""

from otolith.datasets._egoexo4d_windows import fit_length


def run(case):
    got = {}
    for i, entry in enumerate(case.settings["cases"]):
        signal = case.io["signal"][:, : entry["length"]].numpy()
        wanted = entry["sampling_rate"] * entry["seconds"]
        if entry["function"] == "cut_and_pad" and signal.shape[1] >= wanted:
            assert "cut_and_pad_slices_channels" in case.settings["upstream_quirks"]
            got[f"out_{i}"] = signal[: int(wanted)]
            continue
        side = entry["side"] or "right"
        got[f"out_{i}"] = fit_length(signal, int(wanted), side, keeps_last=side == "right")
    return got
