"""Pure functions on arrays: units, resampling, gravity, rotations, patches, statistics.

Functions take numpy arrays or torch tensors and return the same kind; torch tensors keep their
device and their gradient.
"""
