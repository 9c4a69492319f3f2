"""Load an encoder built like BERT together with its tokenizer: for making features, or for learning along."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trisent.errors import WeightsError
from trisent.extractors.backend import transformers
from trisent.extractors.loading import Encoder, Layers, chosen_layers, drop_above, load_encoder, load_preprocessing
from trisent.i18n import t
from trisent.types import OnProgress, Provenance, no_progress
from trisent.weights import Weights, digest_with, ensure

# Families built like BERT; the position of a window's first piece lies behind the padding's in some of them.
_FROM_ZERO = ("bert", "electra")
_BEHIND_PADDING = ("roberta", "xlm-roberta", "camembert", "data2vec-text")
MODEL_TYPES = _FROM_ZERO + _BEHIND_PADDING
_TOKENIZER_FILES = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """An encoder and what stands before it.

    Attributes:
        weights: where it was loaded from.
        model: of transformers, in evaluation mode, without the layers above the highest of `layers`.
        tokenizer: of transformers.
        layers: numbers of the hidden states that are its features; 0 is the embedding.
        first_position: what the first piece of a window has.
        window: most pieces that it reads at once.
    """

    weights: Weights
    model: Encoder
    tokenizer: Any  # transformers ships no types
    layers: tuple[int, ...]
    first_position: int
    window: int

    @property
    def dim(self) -> int:
        """Width of its features, all layers together."""
        return int(self.model.config.hidden_size) * len(self.layers)

    @property
    def provenance(self) -> Provenance:
        """What its features say of where they come from."""
        family = self.model.config.model_type
        case = "lower case" if getattr(self.tokenizer, "do_lower_case", True) else "case kept"
        pieces = f"WordPiece, {case}" if family in _FROM_ZERO else f"the pieces of {family}"
        how = f"{pieces}, windows of {self.window}"
        digest = digest_with(self.weights, "config.json", *_TOKENIZER_FILES)
        return Provenance("bert", self.weights.name, digest, self.layers, how)


def tokenize(tokenizer: Any, texts: Sequence[str], *, window: int) -> Any:  # both of transformers
    """Divide texts into windows of pieces; `overflow_to_sample_mapping` says which text a window is of."""
    return tokenizer(
        list(texts),
        truncation=True,
        max_length=window,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )


def load_text_encoder(name: str, *, layers: Layers, on_progress: OnProgress = no_progress) -> TextEncoder:
    """Load an encoder by catalog name, hub id or folder; fetched when absent.

    Raises:
        WeightsError: the weights cannot be had, or are of another family.
        ValueError: a layer the encoder does not have.
    """
    weights = ensure(name, on_progress=on_progress)
    # The pooler (a tanh layer for next-sentence prediction) is not used, and some checkpoints lack it.
    model = load_encoder(transformers().AutoModel, weights, model_types=MODEL_TYPES, optional=("pooler.",))
    tokenizer = load_preprocessing(
        transformers().AutoTokenizer, weights, files=_TOKENIZER_FILES, accepted=partial(_try, folder=weights.folder)
    )
    config = model.config
    if len(tokenizer) > config.vocab_size:
        message = "{folder}: its vocabulary has {words} pieces, its network knows {rows}; they are of two models"
        raise WeightsError(t(message, folder=weights.folder, words=len(tokenizer), rows=config.vocab_size))
    chosen = chosen_layers(layers, config.num_hidden_layers)
    drop_above(model.encoder.layer, max(chosen))
    model.pooler = None
    first = 0
    if config.model_type in _BEHIND_PADDING:
        if config.pad_token_id is None:
            message = "{folder}: its config.json says no pad_token_id, behind which the positions of a {family} begin"
            raise WeightsError(t(message, folder=weights.folder, family=config.model_type))
        first = config.pad_token_id + 1
    return TextEncoder(weights, model, tokenizer, chosen, first, int(config.max_position_embeddings) - first)


def _try(tokenizer: Any, *, folder: Path) -> None:  # Any: of transformers
    """Refuse a tokenizer that transformers made up because its files are not there: to it every word is unknown.

    Raises:
        ValueError: there is no vocabulary.
        Exception: of the tokenizers library: it is none.
    """
    names = sorted(set(tokenizer.vocab_files_names.values()))
    if not any((folder / name).is_file() and (folder / name).stat().st_size for name in names):
        raise ValueError(t("there is no vocabulary, one of {names}", names=", ".join(names)))
    tokenizer("\u16a0")  # a rune, in hardly any vocabulary: needs the piece that stands for the unknown
