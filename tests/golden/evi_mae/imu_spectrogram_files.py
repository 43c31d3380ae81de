"""Filter banks of the segments of whole files that belong to sampled video frames."""

from otolith.signals.fbank import fbank
from tests.golden.evi_mae._fbank import fbank_config


def run(case):
    settings, io = case.settings, case.io
    config = fbank_config(settings)
    chosen = settings["stored_channels"]
    got = {}
    for entry in settings["datasets"]:
        name = entry["name"]
        table = io[f"{name}_table"][entry["skip_first_rows"] :]
        frames, total = io[f"{name}_frame_ids"].flatten(), int(io[f"{name}_video_frames"])
        first, last = (int(int(f) / total * len(table)) for f in (frames[0], frames[-1]))
        raw = table[first:last, entry["columns"]].T.float()
        maps = fbank(raw, config)
        got |= {
            f"{name}_selected_raw": raw,
            f"{name}_fbank_some": maps[chosen],
            f"{name}_fbank_mean": maps.mean((1, 2)),
            f"{name}_fbank_std": maps.flatten(1).std(1),
        }
    return got
