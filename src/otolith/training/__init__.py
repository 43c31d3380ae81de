"""The loop: optimizer, schedule, precision, devices, exact resume, checkpoints, logs."""
