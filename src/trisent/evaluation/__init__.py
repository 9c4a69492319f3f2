"""Evaluation: metrics, each under the name of its convention."""
