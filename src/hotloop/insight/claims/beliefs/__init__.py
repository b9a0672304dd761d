"""Beliefs about training that people argue about, a file each."""
