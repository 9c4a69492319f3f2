"""Architectures that no maintained library offers; each loads published weights strictly."""
