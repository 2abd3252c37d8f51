"""Composition root: configuration, start, stop, signals, workers. No decisions."""
