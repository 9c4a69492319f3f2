"""Data sets of features: readers and writers."""
