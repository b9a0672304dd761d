"""Where time goes, what is true, which device to use: measured, with intervals, concluded only where that is honest."""
