"""Filter banks of single signals of many lengths."""

from otolith.signals.fbank import fbank, stretch
from tests.golden.evi_mae._fbank import fbank_config


def run(case):
    config = fbank_config(case.settings)
    got = {}
    for length in case.settings["lengths"]:
        wave = case.io[f"wave_{length}"].reshape(1, -1)
        got[f"fbank_{length}"] = fbank(wave, config)[0]
        got[f"resampled_len_{length}"] = stretch(wave, config).shape[1]
    return got
