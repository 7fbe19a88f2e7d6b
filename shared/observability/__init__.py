"""Logs, metrics and health: the same names and shapes in every process."""
