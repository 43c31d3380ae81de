"""Pure functions on arrays: units, resampling, gravity, rotations, spectrograms, window statistics."""
