"""Units and constants. Inside Otolith acceleration is in m/s^2 and angular rate in rad/s."""

from __future__ import annotations

import math

STANDARD_GRAVITY_M_S2 = 9.80665
"""One g in m/s^2 (exact by definition, 3rd CGPM 1901)."""

DEG_TO_RAD = math.pi / 180.0
"""Radians in one degree."""
