"""Extractors: frozen pretrained encoders with their preprocessing, found by name in `registry`."""
