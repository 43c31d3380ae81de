"""Fine-tuning forward in every mode of a case, through the converter."""

import torch

from otolith.systems import _evi_official
from otolith.systems.evi_mae_classifier import System
from tests.golden.evi_mae._inputs import inputs_of

MODES = {
    "multimodal": "both",
    "ft_imuonly": "imu",
    "ft_videoonly": "video",
    "inf_imuonly": "imu_of_both",
    "inf_videoonly": "video_of_both",
}


def run(case):
    io, settings = case.io, case.settings
    system, report = System.from_official(case.weights, settings)
    assert not report.unexpected
    assert not report.missing
    back = {k.removeprefix(_evi_official.WRAPPER): v for k, v in system.to_official().items()}
    assert set(back) == set(case.weights)
    assert all(torch.equal(value, case.weights[key]) for key, value in back.items())
    assert len(system.labels) == settings["label_dim"]
    system.train(settings["train_mode"])
    got = {}
    for mode in settings["modes"]:
        channels = settings["inf_imuonly_channels"] if mode == "inf_imuonly" else None
        inputs = inputs_of(system.encoder, io, channels)
        got[f"logits_{mode}"], got[f"graph_logits_{mode}"] = system.logits(inputs, MODES[mode])
    return got
