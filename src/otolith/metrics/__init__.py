"""Numbers with definitions."""
