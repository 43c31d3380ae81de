"""What a preset fills in: everything that is not given, at every depth."""

import pytest

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.encoders import imu_spectrogram_mae
from otolith.encoders._presets import fill_from_preset

PRESETS = {"small": {"width": 4, "inner": {"rows": 2, "deep": {"a": 1, "b": 2}}}}


def test_given_values_win_and_the_rest_is_filled_at_every_depth():
    given = {"preset": "small", "inner": {"deep": {"a": 9}}, "more": 1}
    assert fill_from_preset(given, PRESETS) == {
        "preset": "small", "width": 4, "more": 1,
        "inner": {"rows": 2, "deep": {"a": 9, "b": 2}},
    }  # fmt: skip
    assert PRESETS["small"]["inner"]["deep"] == {"a": 1, "b": 2}


@pytest.mark.parametrize("data", [{"width": 3}, {"preset": ""}, 7])
def test_without_a_preset_nothing_is_filled(data):
    assert fill_from_preset(data, PRESETS) == data


def test_a_preset_that_is_not_there_is_named():
    with pytest.raises(ValueError, match='no preset "smal". Did you mean "small"'):
        fill_from_preset({"preset": "smal"}, PRESETS)


def test_an_encoder_keeps_the_nested_settings_of_its_preset():
    made = parse(
        imu_spectrogram_mae.Config,
        {"preset": "debug", "processor": {"num_channels": 3, "spectrogram": {"mean_db": [1.0], "std_db": [2.0]}}},
    )  # fmt: skip
    assert made.processor.num_channels == 3
    assert made.processor.image_size == (32, 64)
    assert made.processor.spectrogram.mean_db == (1.0,)
    with pytest.raises(ConfigError, match="no preset"):
        parse(imu_spectrogram_mae.Config, {"preset": "bas"})
