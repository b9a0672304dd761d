"""Programs become machine code."""
