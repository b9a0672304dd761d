"""The side-by-side benchmark: the same network, rows and first weights, trained by each contender in turn."""
