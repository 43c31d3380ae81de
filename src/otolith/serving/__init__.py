"""Streaming, export and HTTP."""
