"""Text features from any BERT: one row a word piece."""

from collections.abc import Sequence

import numpy as np
import torch

from trisent.compute import choose_device
from trisent.errors import WeightsError
from trisent.extractors.backend import transformers
from trisent.extractors.loading import chosen_layers, load_encoder, load_preprocessing
from trisent.i18n import t
from trisent.types import Features, Floats, OnProgress, Provenance, Word, no_progress
from trisent.weights import ensure

_TOKENS_A_BATCH = 2048  # padding included; measured best between 512 and 4096 on two cores
RawText = str | Sequence[Word]


class BERTTextExtractor:
    """Turn what is said into one row of features a word piece, [CLS] and [SEP] included.

        >>> BERTTextExtractor("minilm-l6").extract(["a good film"])[0].values.shape  # doctest: +SKIP
        (5, 384)

    Text longer than the encoder's window (512 pieces) is read in several windows, none of it is left out.

    Args:
        model_name: a catalog name, a hub id, or a folder such as `models/bert-base-uncased`; fetched when absent.
        layers: encoder layers to return side by side; 0 is the embedding, -1 the last layer.
        device: "auto", "cpu", "cuda".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had, or are no BERT.
    """

    modality = "text"

    def __init__(
        self,
        model_name: str = "bert-base-uncased",
        *,
        layers: Sequence[int] = (-1,),
        device: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        weights = ensure(model_name, on_progress=on_progress)
        # The pooler (a tanh layer for next-sentence prediction) is not used, and some checkpoints lack it.
        self._model = load_encoder(transformers().BertModel, weights, model_type="bert", optional=("pooler.",))
        files = "vocab.txt, tokenizer_config.json, tokenizer.json"
        self._tokenizer = load_preprocessing(transformers().AutoTokenizer, weights, files=files)
        config = self._model.config
        if len(self._tokenizer) > config.vocab_size:
            message = "{folder}: its vocabulary has {words} pieces, its network knows {rows}; they are of two models"
            raise WeightsError(t(message, folder=weights.folder, words=len(self._tokenizer), rows=config.vocab_size))
        self.device = choose_device(device)
        self._model.to(self.device)
        self._layers = chosen_layers(layers, config.num_hidden_layers)
        self._window = int(config.max_position_embeddings)
        self.dim = int(config.hidden_size) * len(self._layers)
        case = "lower case" if getattr(self._tokenizer, "do_lower_case", True) else "case kept"
        self.provenance = Provenance(
            "bert", weights.name, weights.digest, self._layers, f"WordPiece, {case}, windows of {self._window}"
        )

    def extract(self, batch: Sequence[RawText]) -> list[Features]:
        """Read texts, or words with times.

        Returns:
            For each text features [pieces, dim]; `times` is the middle of each piece's word, NaN for plain text. Empty
            text gives no steps.
        """
        texts = [raw if isinstance(raw, str) else " ".join(w.text for w in raw) for raw in batch]
        spoken = [i for i, text in enumerate(texts) if text.strip()]
        rows: list[list[Features]] = [[] for _ in batch]
        if spoken:
            encoded = self._tokenizer(
                [texts[i] for i in spoken],
                truncation=True,
                max_length=self._window,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            windows = encoded["input_ids"]
            owners = [spoken[i] for i in encoded["overflow_to_sample_mapping"]]
            values = self._encode(windows)
            for owner, value, offsets in zip(owners, values, encoded["offset_mapping"], strict=True):
                times = _piece_times(batch[owner], offsets)
                rows[owner].append(Features(value, times, np.ones(len(value), np.bool_)))
        return [self._joined(windows) for windows in rows]

    @torch.inference_mode()
    def _encode(self, windows: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Encode windows of piece ids, the shortest together: float32 [pieces, dim] each, in the order given."""
        order = sorted(range(len(windows)), key=lambda i: len(windows[i]))
        values: dict[int, np.ndarray] = {}
        while order:
            # The longest window of a batch decides its width; take as many as fill the budget.
            size = 1
            while size < len(order) and (size + 1) * len(windows[order[size]]) <= _TOKENS_A_BATCH:
                size += 1
            taken, order = order[:size], order[size:]
            longest = len(windows[taken[-1]])
            ids = torch.zeros(size, longest, dtype=torch.long)
            mask = torch.zeros(size, longest, dtype=torch.long)
            for row, i in enumerate(taken):
                ids[row, : len(windows[i])] = torch.tensor(windows[i])
                mask[row, : len(windows[i])] = 1
            hidden = self._model(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device), output_hidden_states=True
            ).hidden_states
            layers = torch.cat([hidden[layer] for layer in self._layers], dim=-1).cpu().numpy()  # [size, longest, dim]
            for row, i in enumerate(taken):
                values[i] = layers[row, : len(windows[i])]
        return [values[i] for i in range(len(windows))]

    def _joined(self, windows: Sequence[Features]) -> Features:
        if not windows:
            return Features(np.zeros((0, self.dim), np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_))
        return Features(
            np.concatenate([w.values for w in windows]),
            np.concatenate([w.times for w in windows]),
            np.concatenate([w.mask for w in windows]),
        )


def _piece_times(raw: RawText, offsets: Sequence[tuple[int, int]]) -> Floats:
    """Give each piece of a window the middle of its word in seconds, [CLS] and [SEP] the window's ends.

    Plain text has no times: NaN.
    """
    times = np.full(len(offsets), np.nan, np.float32)
    if isinstance(raw, str):
        return times
    ends = np.cumsum([len(w.text) + 1 for w in raw])  # of each word, with the blank behind it, in the joined text
    # [CLS] and [SEP] stand for no characters.
    words = {
        i: raw[int(np.searchsorted(ends, at, side="right"))] for i, (at, until) in enumerate(offsets) if until > at
    }
    for i, word in words.items():
        times[i] = (word.start + word.end) / 2
    if words:
        times[0], times[-1] = words[min(words)].start, words[max(words)].end
    return times
