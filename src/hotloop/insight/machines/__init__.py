"""Passports: what each kind of work takes on a machine, measured, kept, and shipped for the machines met so far."""
