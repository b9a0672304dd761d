"""A training step taken apart: its lines, its conveniences, what it cannot take less than."""
