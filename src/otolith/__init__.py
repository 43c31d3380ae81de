"""Understand what a person does from what they wear."""
