"""A named size fills in what is not given."""

import pytest

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.encoders import ENCODERS

WITH_SIZES = [n for n in ENCODERS.names() if hasattr(ENCODERS.get(n), "PRESETS")]
WITH_WIDTH = [n for n in WITH_SIZES if "width" in ENCODERS.get(n).PRESETS["debug"]]


def test_there_are_such_encoders():
    assert {"imu_tsfm", "imu_limu_bert", "imu_cnn_har", "imu_deep_conv_lstm"} <= set(WITH_SIZES)


@pytest.mark.parametrize("name", WITH_WIDTH)
def test_given_settings_win_over_the_size(name):
    module = ENCODERS.get(name)
    width = module.PRESETS["debug"]["width"]
    assert parse(module.Config, {"preset": "debug"}).width == width
    assert parse(module.Config, {"preset": "debug", "width": 2 * width}).width == 2 * width
    assert parse(module.Config, {}).width != width


@pytest.mark.parametrize("name", WITH_SIZES)
def test_an_unknown_size_names_the_nearest(name):
    with pytest.raises(ConfigError, match="debug"):
        parse(ENCODERS.get(name).Config, {"preset": "debog"})
