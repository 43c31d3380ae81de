"""Complete runs as YAML."""
