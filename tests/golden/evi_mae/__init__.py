"""One handler per kind of golden case of EVI-MAE."""
