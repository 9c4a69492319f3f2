"""Fusion models: features of any subset of modalities to sentiment, found by name in `registry`."""
