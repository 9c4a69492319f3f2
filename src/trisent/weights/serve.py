"""Give an exported folder to other machines, as a model hub of one's own. The server itself is served.py."""

from pathlib import Path
from typing import TYPE_CHECKING

from trisent.errors import WeightsError
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.weights.served import ModelServer


def serve(folder: str | Path, *, host: str = "127.0.0.1", port: int = 8000) -> "ModelServer":
    """Open a read-only server of a folder that export made; its `serve_forever()` runs it.

    `HF_ENDPOINT=<its url>` makes trisent, transformers and huggingface_hub fetch from it. Only files that are what
    SHA256SUMS says are given; the loopback address is used unless another one is asked for. Port 0 takes a free one.

    Raises:
        WeightsError: the folder is none that export made, or the address cannot be used.
    """
    from trisent.weights.served import ModelServer
    from trisent.weights.shelf import Shelf

    shelf = Shelf.of(Path(folder).expanduser())
    try:
        return ModelServer(shelf, host, port)
    except (OSError, OverflowError) as error:
        msg = t("cannot serve on {host}:{port} ({why}). Choose another with --port", host=host, port=port, why=error)
        raise WeightsError(msg) from error
