"""Tell weights from others that give other numbers: by their own bytes, and by those of what is read beside them."""

import logging

from trisent.i18n import t
from trisent.weights.catalog import known
from trisent.weights.digests import sha256
from trisent.weights.placed import Weights, is_of_a_bundle, together

logger = logging.getLogger(__name__)


def digest_with(weights: Weights, *beside: str) -> str:
    """Digest `weights` together with those of the files named that lie beside them, such as a vocabulary.

    Where all of them are the catalog's, or a bundle's own, it is the digest of the weights alone: whoever pins the one
    file pins the others.
    """
    if is_of_a_bundle(weights.folder):
        return weights.digest
    entry = known(weights.name)
    proven = {file.path: file.sha256 for file in entry.files} if entry is not None and weights.pinned else {}
    here = {name: sha256(weights.folder / name) for name in beside if (weights.folder / name).is_file()}
    others = sorted(name for name, digest in here.items() if proven.get(name) != digest)
    if not others:
        return weights.digest
    if proven:
        message = "in {folder} the weights are the catalog's, {files} not: its features do not mix with the catalog's"
        logger.warning("%s", t(message, folder=weights.folder, files=", ".join(others)))
    return together({**here, weights.file.name: weights.digest})
