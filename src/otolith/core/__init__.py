"""Config, errors, files, the folder-as-registry and randomness; imports nothing of ours."""
