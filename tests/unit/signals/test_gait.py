import math

import numpy as np
import pytest
import torch
from tests.support.motion_data import G, walk

from otolith.signals._gait import GAIT_NAMES, MULTIPLES, gait_statistics
from otolith.signals.motion_views import SIGNALS, motion_views


def centred(x):
    s = motion_views(x).signals_BST
    return s - s.mean(2, keepdim=True)


def found_in(signals, rate_hz=20.0):
    values = gait_statistics(signals, rate_hz)
    return dict(zip(GAIT_NAMES, values.unbind(1), strict=True))


def steps(step_hz, rate_hz=20.0, rows=100, shift_s=0.0, phase=0.8):
    """A vertical with two harmonics of known phase."""
    t = np.arange(rows) / rate_hz + shift_s
    x = np.zeros((1, rows, 6))
    angle = 2 * np.pi * step_hz * t
    x[0, :, 2] = G + 2 * np.cos(angle) + np.cos(2 * angle + phase)
    return x


@pytest.mark.parametrize("step_hz", [1.4, 1.85, 2.6, 3.2])
def test_the_step_frequency_is_found(step_hz):
    found = found_in(centred(steps(step_hz)))
    assert float(found["gait/step_hz"]) == pytest.approx(step_hz, abs=0.05)


@pytest.mark.parametrize(("rate_hz", "rows"), [(20.0, 100), (50.0, 250), (20.0, 1500)])
def test_shares_do_not_depend_on_rate_or_length(rate_hz, rows):
    found = found_in(centred(steps(2.0, rate_hz, rows)), rate_hz)
    assert float(found["gait/step_hz"]) == pytest.approx(2.0, abs=0.03)
    first = math.exp(float(found["gait/vertical/log_share_x1"]))
    second = math.exp(float(found["gait/vertical/log_share_x2"]))
    assert first / second == pytest.approx(4.0, rel=0.2)
    assert float(found["gait/vertical/log_share_x3"]) == pytest.approx(math.log(3e-3), abs=0.5)


def test_shares_are_their_definition():
    s = centred(walk(3))
    found = found_in(s)
    rows = s.shape[2]
    for b in range(3):
        step_hz = float(found["gait/step_hz"][b])
        for k, name in enumerate(SIGNALS):
            if name == "norm":
                continue
            power = np.abs(np.fft.rfft(s[b, k].numpy() * np.hanning(rows), 1024)) ** 2
            for m in MULTIPLES:
                i = round(min(m * step_hz, 9.8) / (20 / 1024))
                share = power[max(i - 6, 0) : min(i + 6, 512)].sum() / power[8:].sum()
                got = float(found[f"gait/{name}/log_share_x{m:g}"][b])
                assert got == pytest.approx(math.log(share + 3e-3), abs=1e-6)


def test_the_phase_of_the_second_harmonic_does_not_depend_on_the_start():
    for shift_s in (0.0, 0.13, 0.4):
        found = found_in(centred(steps(2.0, shift_s=shift_s)))
        angle = math.atan2(
            float(found["gait/vertical/phase_sin"]), float(found["gait/vertical/phase_cos"])
        )
        # frequencies are rounded to cells, each of which turns the phase by 0.3
        assert angle == pytest.approx(-0.8, abs=0.4)


def test_leads_have_length_one_in_movement_and_none_in_silence():
    moving = found_in(centred(walk(5)))
    silent = found_in(torch.zeros(2, len(SIGNALS), 100))
    for name in ("horizontal", "gyro_norm"):
        cos, sin = f"gait/{name}/lead_cos", f"gait/{name}/lead_sin"
        length = torch.hypot(moving[cos], moving[sin])
        torch.testing.assert_close(length, torch.ones(5, dtype=torch.float64))
        assert (silent[cos] == 0).all()
    assert (silent["gait/confidence"] - math.log(1e-3)).abs().max() < 1e-6
