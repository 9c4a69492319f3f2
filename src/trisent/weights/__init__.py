"""Weights: the catalog of pinned files, finding them on this machine, fetching them, proving them."""

from trisent.weights.catalog import Entry, entries, entry
from trisent.weights.delivery import ensure, pull, verify
from trisent.weights.doctor import doctor
from trisent.weights.find import find
from trisent.weights.placed import Weights

__all__ = ["Entry", "Weights", "doctor", "ensure", "entries", "entry", "find", "pull", "verify"]
