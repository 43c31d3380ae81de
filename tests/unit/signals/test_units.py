import math

from otolith.signals.units import DEG_TO_RAD, STANDARD_GRAVITY_M_S2


def test_constants():
    assert STANDARD_GRAVITY_M_S2 == 9.80665
    assert math.isclose(180 * DEG_TO_RAD, math.pi)
