"""A text encoder that learns along: one module for the loop, of which the fusion model is the inner part.

In training, batches hold word pieces in place of text features. What is saved is apart again: the fusion model as
always, and the encoder as an ordinary folder of transformers, whose features it takes.
"""

import hashlib
import inspect
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from trisent.checkpoint import TEXT_ENCODER
from trisent.data.batching import Tokens
from trisent.data.dataset import Dataset
from trisent.errors import DataError, UsageError, one_line
from trisent.extractors.loading import Layers, quiet_transformers
from trisent.extractors.text_encoder import TextEncoder, load_text_encoder, tokenize
from trisent.fusion.batch import Batch, Output
from trisent.fusion.registry import FusionModel, fusion_class
from trisent.i18n import t
from trisent.training.loop import Standardises
from trisent.training.lora import add_adapters, merged
from trisent.types import Modality, OnProgress, Provenance, no_progress

METHODS = {"full": 6e-5, "lora": 5e-4}  # the learning rate that goes with each
RECIPE: dict[str, Any] = {"epochs": 2, "lr": 1e-3, "schedule": "linear", "warmup": 0.1, "ema": 0.995}
"""Settings of training that suit a pretrained encoder: few epochs, and a learning rate that falls to 0."""
FUSION = "gated"
"""The fusion model that goes with it: it weighs the encoder's layers, and looks where in a text to look."""

# Pieces of which all that is computed is kept for the way back (1.3 GB in MiniLM, 5 GB in BERT-base). A larger batch is
# read in parts, once more on the way back: the same gradients, a third more time, and only where texts are long.
_PIECES_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Finetune:
    """How the text encoder learns along.

    Attributes:
        method: "full" moves all its weights, "lora" adapters of `rank` beside its linear layers.
        weights: a catalog name, a hub id, or a folder.
        layers: whose features the fusion model gets, side by side: numbers, "last" or "all".
        lr: learning rate of the encoder; None takes that of `METHODS`. The fusion model has the training's own.
        rank: of the adapters.
    """

    method: str = "full"
    weights: str = "minilm-l6"
    layers: Layers = "all"
    lr: float | None = None
    rank: int = 16

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            names = ", ".join(METHODS)
            raise UsageError(
                t("{name} must be one of {names}, got {value!r}", name="finetune", names=names, value=self.method)
            )
        if self.lr is not None and not 0 < self.lr <= 1:
            raise UsageError(t("{name} must be above 0 and at most 1, got {value}", name="finetune.lr", value=self.lr))
        if self.rank < 1:
            raise UsageError(
                t("{name} must be at least {least}, got {value}", name="finetune.rank", least=1, value=self.rank)
            )


class FineTuned(nn.Module):
    """A fusion model behind a text encoder: takes batches with tokens, and gives what the fusion model gives.

    Args:
        encoder: the text encoder; its network becomes part of this module.
        inner: the fusion model, whose text features are the encoder's.
        how: how the encoder learns.
    """

    def __init__(self, encoder: TextEncoder, inner: nn.Module, *, how: Finetune) -> None:
        super().__init__()
        if not isinstance(inner, FusionModel):
            message = t("{name} is not a fusion model: it needs config and loss(output, batch)",
                        name=type(inner).__name__)  # fmt: skip
            raise UsageError(message)
        self.encoder = add_adapters(encoder.model, rank=how.rank) if how.method == "lora" else encoder.model
        self.inner = inner
        self.dims: dict[Modality, int] = dict(inner.dims)  # type: ignore[arg-type]  # nn.Module types it as a tensor
        self.config: dict[str, Any] = {**inner.config, "finetune": asdict(how), "encoder": encoder.provenance.digest}
        self._layers, self._window, self._lr = encoder.layers, encoder.window, how.lr or METHODS[how.method]

    @property
    def head(self) -> nn.Module | None:
        """The fusion model's, for whoever calibrates it."""
        return getattr(self.inner, "head", None)

    def forward(self, batch: Batch) -> Output:
        output: Output = self.inner(self.with_text(batch))
        return output

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Return the fusion model's loss."""
        loss: Tensor = cast(Any, self.inner).loss(output, batch)  # a FusionModel, see above
        return loss

    def with_text(self, batch: Batch) -> Batch:
        """Make text features of a batch's tokens."""
        if batch.tokens is None or batch.token_mask is None:
            raise DataError(t("the text encoder needs the texts, this batch has none"))
        features = self.encode(batch.tokens, batch.token_mask)
        return Batch({"text": features, **batch.values}, {"text": batch.token_mask, **batch.masks}, batch.labels)

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Turn pieces [utterances, pieces] into float32 [utterances, pieces, dim], every window by itself."""
        n, pieces = tokens.shape
        width = min(pieces, self._window)
        short = -pieces % width  # the last window is filled up
        ids = F.pad(tokens, (0, short)).view(-1, width)
        visible = F.pad(mask, (0, short)).view(-1, width)
        there = visible.any(dim=1)  # attention over nothing would be NaN
        if not there.any():
            width_of_one = self.encoder.config.hidden_size
            return torch.zeros(n, pieces, width_of_one * len(self._layers), device=tokens.device)
        windows = ids[there], visible[there].long()
        at_once = max(1, _PIECES_KEPT // width)
        if self.training and len(windows[0]) > at_once:
            parts = zip(*(torch.split(x, at_once) for x in windows), strict=True)
            features = torch.cat([checkpoint(self._read, *part, use_reentrant=False) for part in parts])
        else:
            features = self._read(*windows)
        every = features.new_zeros(len(ids), *features.shape[1:])
        every[there] = features
        return every.view(n, pieces + short, -1)[:, :pieces]

    def _read(self, ids: Tensor, visible: Tensor) -> Tensor:
        """Give the features of windows [windows, pieces]: float32 [windows, pieces, dim]."""
        hidden = self.encoder(input_ids=ids, attention_mask=visible, output_hidden_states=True).hidden_states
        return torch.cat([hidden[layer] for layer in self._layers], dim=-1).float()

    def fit_scaler(self, batches: Iterable[Batch]) -> None:
        """Let the fusion model learn the scale of the other modalities; text comes as the encoder makes it."""
        if isinstance(self.inner, Standardises):
            self.inner.fit_scaler(batches)

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """Give the encoder its own learning rate; biases and the weights of norms do not decay."""
        groups = []
        for part, own in ((self.encoder, self._lr), (self.inner, lr)):
            learning = [p for p in part.parameters() if p.requires_grad]
            matrices, vectors = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
            groups += [{"params": matrices, "lr": own, "weight_decay": weight_decay}]
            groups += [{"params": vectors, "lr": own, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    def merge(self) -> None:
        """Make adapters part of the weights, once training is over."""
        if hasattr(self.encoder, "merge_and_unload"):
            self.encoder = merged(self.encoder)


def texts_alone(dataset: Dataset) -> Dataset:
    """Leave out text features: an encoder that learns along makes its own.

    Raises:
        DataError: the data set has no texts.
    """
    if not any(text.strip() for text in dataset.texts):
        message = "{name} has no texts to fine-tune on. Name a data set with a column of texts, or leave out --finetune"
        raise DataError(t(message, name=dataset.name))
    features, provenance = dict(dataset.features), dict(dataset.provenance)
    features.pop("text", None)
    provenance.pop("text", None)
    return replace(dataset, features=features, provenance=provenance)


def tokens_of(texts: Sequence[str], encoder: TextEncoder) -> Tokens:
    """Divide texts into word pieces, those of all windows one behind the other; a blank text has none."""
    spoken = [i for i, text in enumerate(texts) if text.strip()]
    pieces: list[list[int]] = [[] for _ in texts]
    encoded = tokenize(encoder.tokenizer, [texts[i] for i in spoken], window=encoder.window)
    for owner, window in zip(encoded["overflow_to_sample_mapping"], encoded["input_ids"], strict=True):
        pieces[spoken[owner]] += window
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pieces])]).astype(np.int64)
    ids = np.fromiter((id for p in pieces for id in p), np.int32, count=int(offsets[-1]))
    return Tokens(ids, offsets, int(encoder.model.config.pad_token_id or 0))


def layer_settings(model: str, encoder: TextEncoder) -> dict[str, Any]:
    """Tell a fusion model that weighs layers how many the encoder gives; nothing for the others."""
    takes = inspect.signature(fusion_class(model)).parameters.get("layers")
    weighs = takes is not None and takes.default is None  # elsewhere `layers` is how deep the model itself is
    return {"layers": {"text": len(encoder.layers)}} if weighs and len(encoder.layers) > 1 else {}


def load_learner(how: Finetune, *, on_progress: OnProgress = no_progress) -> TextEncoder:
    """Load the encoder that is to learn.

    Raises:
        WeightsError: its weights cannot be had, or are of another family.
        UsageError: it does not have those layers, or they hold nothing that could learn.
    """
    try:
        encoder = load_text_encoder(how.weights, layers=how.layers, on_progress=on_progress)
    except (TypeError, ValueError) as error:
        raise UsageError(t("finetune.layers: {reason}", reason=one_line(error))) from error
    if max(encoder.layers) == 0:
        raise UsageError(
            t("finetune.layers: {reason}", reason=t("layer 0 alone is the embedding, name a layer above it"))
        )
    for layer in encoder.model.encoder.layer:
        # With dropout of its weights, attention on a CPU has to write down all pairs of pieces: 4 GB more for 32 texts
        # of 345. Dropout of what it gives stays.
        layer.attention.self.dropout.p = 0.0
    return encoder


def encoder_files(encoder: TextEncoder, network: FineTuned) -> tuple[dict[str, bytes], Provenance]:
    """Give the files of a merged encoder, by their names in a bundle, and where its features come from from now on."""
    model = network.encoder
    model.config.num_hidden_layers = len(model.encoder.layer)  # those above the features are gone
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        files = {f"{TEXT_ENCODER}/{path.name}": path.read_bytes() for path in sorted(Path(folder).iterdir())}
    digest = hashlib.sha256(files[f"{TEXT_ENCODER}/model.safetensors"]).hexdigest()
    return files, replace(encoder.provenance, weights=TEXT_ENCODER, digest=digest)
