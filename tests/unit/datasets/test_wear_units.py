"""The unit of WEAR's accelerations is seen in the values, not assumed."""

import numpy as np
import pytest
from tests.fixtures.official_layouts_himu import wear_signals, write_wear

from otolith.core.errors import FileFormatError
from otolith.datasets import wear, wear_ssl
from otolith.datasets._wear_units import to_si

G = 9.80665


@pytest.fixture
def in_g():
    """Four limbs, mostly at rest in different directions; one sample is missing, one limb absent."""
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.normal(size=(500, 12))
    samples[:, [2, 4, 6, 9]] += 1.0
    samples[7, 3] = np.nan
    samples[:, 9:] = np.nan
    return samples


@pytest.mark.parametrize(
    ("scale", "factor", "status", "words"),
    [
        (1.0, G, "ok", "so it is in g; it was multiplied by 9.80665"),
        (G, 1.0, "warning", "so it is in m/s^2; it was kept as it is"),
        (0.4, G, "warning", "gravity neither in g nor in m/s^2; the publishers give g"),
    ],
)
def test_the_strength_decides(in_g, scale, factor, status, words):
    found, finding = to_si(in_g * scale, "sbj_0.csv")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, in_g * scale * factor, rtol=1e-6)
    assert (finding.check, finding.status) == ("units.acc", status)
    assert words in finding.fact


def test_values_that_fit_no_unit_are_refused(in_g):
    with pytest.raises(FileFormatError, match=r"sbj_0\.csv have the typical strength .* reach"):
        to_si(in_g * 1000.0, "sbj_0.csv")


def test_limbs_in_two_units_are_refused(in_g):
    in_g[:, 3:6] *= G
    with pytest.raises(FileFormatError, match=r"the right leg is in m/s\^2 and others are in g"):
        to_si(in_g, "sbj_0.csv")


@pytest.mark.parametrize("module", [wear, wear_ssl])
def test_a_release_in_other_units_gives_the_same_recordings(tmp_path, module):
    signals = wear_signals(600, people=(0,))
    found = {}
    for name, factor in (("g", 1.0), ("si", G)):
        root = write_wear(tmp_path / name, {k: v * factor for k, v in signals.items()})
        found[name] = next(module.recordings(module.Config(root=root)))
    np.testing.assert_allclose(*(r.imus["imu"].samples_TC for r in found.values()), rtol=1e-5)
    assert [r.findings[0].status for r in found.values()] == ["ok", "warning"]
