"""Training: from a model, rows and settings to a trained model and the run it took. ``fit.py`` is the way in."""
