"""Numbers with definitions. Shares are fractions from 0 to 1, never percent."""
