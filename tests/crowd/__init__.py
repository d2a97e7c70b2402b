"""Thousands of viewers in one process, on plain sockets, and what they saw."""
