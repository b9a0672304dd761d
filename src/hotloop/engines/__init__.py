"""Who runs a training task: one file for each engine, behind the interface in ``interface.py``."""
