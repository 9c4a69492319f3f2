"""Weights: the catalog of pinned files, finding them on this machine, fetching them, proving them."""

from trisent.weights.adopt import Adopted, Adoption, adopt
from trisent.weights.catalog import Entry, entries, entry
from trisent.weights.delivery import ensure, pull, verify
from trisent.weights.doctor import doctor
from trisent.weights.export import Exported, export
from trisent.weights.find import find
from trisent.weights.identity import digest_with
from trisent.weights.placed import Weights
from trisent.weights.plan import plan
from trisent.weights.planned import Plan
from trisent.weights.remove import Removal, remove
from trisent.weights.serve import serve
from trisent.weights.where import Place, Whereabouts, where

__all__ = [
    "Adopted",
    "Adoption",
    "Entry",
    "Exported",
    "Place",
    "Plan",
    "Removal",
    "Weights",
    "Whereabouts",
    "adopt",
    "digest_with",
    "doctor",
    "ensure",
    "entries",
    "entry",
    "export",
    "find",
    "plan",
    "pull",
    "remove",
    "serve",
    "verify",
    "where",
]
