"""Finished runs: evaluated on a split, tried under noise and absence, reported, compared."""
