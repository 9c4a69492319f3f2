"""Text features from any encoder built like BERT: one row a word piece."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trisent.extractors import examples
from trisent.extractors.loading import Layers
from trisent.extractors.packing import PackedEncoder, packs
from trisent.extractors.runners import choose_compute, make_runner
from trisent.extractors.text_encoder import load_text_encoder, tokenize
from trisent.types import Features, Floats, OnProgress, Word, no_progress

RawText = str | Sequence[Word]

# Pieces in one pass. More keep the processor busier; but a mask over all pairs grows with the square.
_TOKENS, _TOKENS_MASKED, _TOKENS_ON_GPU = 1024, 512, 16_384


class BERTTextExtractor:
    """Turn what is said into one row of features a word piece, [CLS] and [SEP] included.

        >>> BERTTextExtractor("minilm-l6").extract(["a good film"])[0].values.shape  # doctest: +SKIP
        (5, 384)

    Text longer than the encoder's window (512 pieces) is read in several windows, none of it is left out. RoBERTa,
    XLM-R, CamemBERT, ELECTRA and data2vec-text are read the same way.

    Args:
        model_name: a catalog name, a hub id, or a folder such as `models/bert-base-uncased`; fetched when absent.
        layers: encoder layers to return side by side, or "last" or "all"; 0 is the embedding, -1 the last layer.
        device: "auto", "cpu", "cuda".
        precision: "fp32", "bf16", "int8", or "auto" for bf16 where the processor has it.
        backend: "torch", "openvino", "onnx", or "auto".
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had, or are of another family.
        UsageError: precision and back-end do not go together, or the precision is too far from fp32.
        TrisentError: the back-end is not installed.
    """

    modality = "text"

    def __init__(
        self,
        model_name: str = "bert-base-uncased",
        *,
        layers: Layers = (-1,),
        device: str = "auto",
        precision: str = "fp32",
        backend: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> None:
        compute = choose_compute(device=device, precision=precision, backend=backend)
        encoder = load_text_encoder(model_name, layers=layers, on_progress=on_progress)
        self._tokenizer, self._window = encoder.tokenizer, encoder.window
        self._first_position = encoder.first_position
        grouped = compute.backend == "torch"
        self._tokens = _TOKENS if grouped else _TOKENS_MASKED
        if compute.device.type == "cuda":
            self._tokens = _TOKENS_ON_GPU
        network = PackedEncoder(
            encoder.model, encoder.layers, first_position=self._first_position, grouped=grouped
        ).eval()
        dynamic = ({1: "tokens"}, {1: "tokens"})
        self._run = make_runner(network, compute, examples=self._examples, dynamic=dynamic)
        self.device, self.precision, self.backend = compute.device, self._run.precision, self._run.backend
        self.dim = encoder.dim
        self.provenance = encoder.provenance

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
            encoded = tokenize(self._tokenizer, [texts[i] for i in spoken], window=self._window)
            windows = encoded["input_ids"]
            owners = [spoken[i] for i in encoded["overflow_to_sample_mapping"]]
            values = self._encode(windows)
            for owner, value, offsets in zip(owners, values, encoded["offset_mapping"], strict=True):
                times = _piece_times(batch[owner], offsets)
                rows[owner].append(Features(value, times, np.ones(len(value), np.bool_)))
        return [self._joined(windows) for windows in rows]

    def _encode(self, windows: Sequence[Sequence[int]]) -> list[Floats]:
        """Encode windows of piece ids: float32 [pieces, dim] each, in the order given."""
        chosen = list(packs([len(window) for window in windows], tokens=self._tokens))
        outputs = [self._run(*self._inputs([windows[i] for i in pack])) for pack in chosen]
        values: dict[int, Floats] = {}
        for pack, output in zip(chosen, outputs, strict=True):
            ends = np.cumsum([len(windows[i]) for i in pack])
            values |= dict(zip(pack, np.split(output.cpu().numpy(), ends[:-1]), strict=True))
        return [values[i] for i in range(len(windows))]

    def _inputs(self, windows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Lay windows one behind the other: ids and positions, [1, tokens] each."""
        ids = [piece for window in windows for piece in window]
        positions = [self._first_position + i for window in windows for i in range(len(window))]
        return torch.tensor([ids]), torch.tensor([positions])

    def _examples(self) -> list[tuple[Tensor, Tensor]]:
        return [self._inputs([self._tokenizer(sentence)["input_ids"]]) for sentence in examples.sentences()]

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
