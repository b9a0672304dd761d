"""Watching a model while it trains, through hooks."""
