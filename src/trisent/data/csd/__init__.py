"""CMU's computational sequences (.csd files): reading, alignment, official folds, writing; without CMU's SDK."""
