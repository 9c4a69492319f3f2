"""BERT features against transformers' own forward of the network the checkpoint was saved from."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import BertWordPieceTokenizer

from trisent.errors import WeightsError
from trisent.extractors.text import BERTTextExtractor
from trisent.types import Word
from unit.extractors import tiny

FOLDER = Path("models/bert-base-uncased")
FILES = ("model.safetensors", "pytorch_model.bin")


def pieces(text: str) -> list[int]:
    return BertWordPieceTokenizer(str(FOLDER / "vocab.txt"), lowercase=True).encode(text).ids


def reference(model: torch.nn.Module, ids: list[int], layer: int = -1) -> np.ndarray:
    with torch.no_grad():
        hidden = model.bert(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    return hidden[layer][0].numpy()


@pytest.mark.parametrize("file", FILES)
def test_the_guide_s_folder_gives_what_the_saved_network_gives(file: str):
    model = tiny.bert(FOLDER, file=file)
    [features] = BERTTextExtractor(model_name="models/bert-base-uncased").extract(["I loved the Film, good!"])
    ids = pieces("I loved the Film, good!")
    assert [tiny.VOCABULARY[i] for i in ids] == ["[CLS]", "i", "love", "##d", "the", "film", ",", "good", "!", "[SEP]"]
    np.testing.assert_allclose(features.values, reference(model, ids), atol=1e-5)
    assert features.mask.all()
    assert np.isnan(features.times).all()


def test_layers_come_side_by_side_and_0_is_the_embedding():
    model = tiny.bert(FOLDER)
    extractor = BERTTextExtractor(str(FOLDER), layers=(0, -1))
    [features] = extractor.extract(["a bad film"])
    both = [reference(model, pieces("a bad film"), layer) for layer in (0, 2)]
    np.testing.assert_allclose(features.values, np.concatenate(both, axis=1), atol=1e-5)
    assert (extractor.dim, extractor.provenance.layers) == (32, (0, 2))


def test_a_layer_the_encoder_does_not_have_is_refused():
    tiny.bert(FOLDER)
    with pytest.raises(ValueError, match="between -3 and 2"):
        BERTTextExtractor(str(FOLDER), layers=(3,))


def test_a_text_s_features_depend_neither_on_its_neighbours_nor_on_their_order():
    tiny.bert(FOLDER)
    extractor = BERTTextExtractor(str(FOLDER))
    texts = ["good", "the film " * 300, "", "i love the bad film", "a " * 900]
    alone = [extractor.extract([text])[0].values for text in texts]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        together = extractor.extract([texts[i] for i in order])
        for i, features in zip(order, together, strict=True):
            np.testing.assert_allclose(features.values, alone[i], atol=1e-5)


def test_text_longer_than_the_window_is_read_in_windows_and_nothing_is_lost():
    model = tiny.bert(FOLDER)
    words = np.random.default_rng(0).choice(["good", "bad", "film", "love", "很"], 1200)
    [features] = BERTTextExtractor(str(FOLDER)).extract([" ".join(words)])
    windows = [words[:510], words[510:1020], words[1020:]]
    expected = [reference(model, pieces(" ".join(window))) for window in windows]
    np.testing.assert_allclose(features.values, np.concatenate(expected), atol=1e-5)


@pytest.mark.parametrize("nothing", ["", " \n", (), (Word(0.0, 1.0, " "),)])
def test_empty_text_gives_no_steps(nothing: object):
    tiny.bert(FOLDER)
    empty, full = BERTTextExtractor(str(FOLDER)).extract([nothing, "good"])
    assert (empty.values.shape, empty.times.shape, empty.mask.shape) == ((0, 16), (0,), (0,))
    assert full.values.shape == (3, 16)


def test_no_texts_give_no_features():
    tiny.bert(FOLDER)
    assert BERTTextExtractor(str(FOLDER)).extract([]) == []


def test_every_piece_has_the_time_of_its_word():
    tiny.bert(FOLDER)
    words = (Word(1.0, 1.5, "I"), Word(1.5, 2.5, "loved,"), Word(3.0, 4.0, "很好"))
    [features] = BERTTextExtractor(str(FOLDER)).extract([words])
    # [CLS] i love ##d , 很 好 [SEP]
    assert features.times.tolist() == [1.0, 1.25, 2.0, 2.0, 2.0, 3.5, 3.5, 4.0]


def test_times_ascend_through_all_windows_of_a_long_speech():
    tiny.bert(FOLDER)
    words = tuple(Word(i / 2, i / 2 + 0.4, "film") for i in range(1100))
    [features] = BERTTextExtractor(str(FOLDER)).extract([words])
    inner = np.delete(features.times, [0, 511, 512, 1023, 1024, len(features.times) - 1])
    np.testing.assert_allclose(inner, [w.start + 0.2 for w in words], atol=1e-4)
    assert (np.diff(features.times) >= -1e-6).all()


def test_the_provenance_names_weights_digest_and_preprocessing():
    tiny.bert(FOLDER)
    provenance = BERTTextExtractor(str(FOLDER)).provenance
    assert (provenance.extractor, provenance.weights) == ("bert", "bert-base-uncased")
    assert len(provenance.digest) == 64
    assert provenance.preprocessing == "WordPiece, lower case, windows of 512"


def test_a_cased_checkpoint_keeps_case():
    tiny.bert(FOLDER)
    (FOLDER / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    extractor = BERTTextExtractor(str(FOLDER))
    small, capital = extractor.extract(["film", "Film"])
    assert not np.array_equal(small.values, capital.values[:3])
    assert "case kept" in extractor.provenance.preprocessing


def refused() -> str:
    with pytest.raises(WeightsError) as caught:
        BERTTextExtractor(str(FOLDER))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_another_architecture_is_refused():
    tiny.bert(FOLDER)
    config = json.loads((FOLDER / "config.json").read_text()) | {"model_type": "gpt2"}
    (FOLDER / "config.json").write_text(json.dumps(config))
    message = refused()
    assert "config.json says 'gpt2'" in message
    assert "bert, electra, roberta" in message


@pytest.mark.parametrize("document", ["", "[1]", "<html>"])
def test_a_config_that_is_no_json_object_is_refused(document: str):
    tiny.bert(FOLDER)
    (FOLDER / "config.json").write_text(document)
    assert "config.json" in refused()


@pytest.mark.parametrize("file", FILES)
def test_a_checkpoint_without_some_of_the_encoder_is_refused_not_filled_with_noise(file: str):
    model = tiny.bert(FOLDER, file=file)
    state = {k: v for k, v in model.state_dict().items() if "layer.1.output.dense" not in k}
    tiny.saved(state, FOLDER / file)
    assert "lacks 2 tensors of a bert model (first: encoder.layer.1.output.dense.bias)" in refused()


@pytest.mark.parametrize("file", FILES)
def test_a_checkpoint_whose_tensors_have_other_shapes_is_refused(file: str):
    tiny.bert(FOLDER, file=file)
    config = json.loads((FOLDER / "config.json").read_text()) | {"intermediate_size": 20}
    (FOLDER / "config.json").write_text(json.dumps(config))
    said = refused()
    assert file in said
    assert "6 tensors have other sizes" in said
    assert "encoder.layer.0.intermediate.dense.bias is [24], expected [20]" in said


@pytest.mark.parametrize("file", FILES)
def test_a_truncated_file_is_refused_in_one_line(file: str):
    tiny.bert(FOLDER, file=file)
    path = FOLDER / file
    path.write_bytes(path.read_bytes()[:-1000])
    assert "trisent weights verify bert-base-uncased" in refused()


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)


def test_a_pickle_with_code_in_it_is_refused_and_nothing_is_executed():
    model = tiny.bert(FOLDER, file="pytorch_model.bin")
    torch.save({**model.state_dict(), "evil": Malicious()}, FOLDER / "pytorch_model.bin")
    assert "pytorch_model.bin: cannot be loaded" in refused()
    assert not Path("executed").exists()


def test_half_precision_weights_are_used_in_full_precision():
    model = tiny.bert(FOLDER).half()
    tiny.saved({k: v for k, v in model.state_dict().items() if "decoder" not in k}, FOLDER / "model.safetensors")
    [features] = BERTTextExtractor(str(FOLDER)).extract(["good film"])
    np.testing.assert_allclose(features.values, reference(model.float(), pieces("good film")), atol=1e-5)


@pytest.mark.parametrize(("file", "content"), [("tokenizer.json", "{}"), ("tokenizer_config.json", "<html>")])
def test_a_broken_tokenizer_is_refused_in_one_line(file: str, content: str):
    tiny.bert(FOLDER)
    (FOLDER / file).write_text(content)
    assert re.search(rf"bert-base-uncased: [^(]*{file}[^(]* missing or broken \(", refused())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer_config.json", "config.json"])
def test_a_file_saved_with_a_byte_order_mark_is_refused_with_the_way_to_save_it(file: str, encoding: str):
    tiny.bert(FOLDER)
    (FOLDER / file).write_text((FOLDER / file).read_text(encoding="utf-8"), encoding=encoding)
    assert f"{file}: begins with a byte order mark" in refused()


def test_a_vocabulary_with_the_line_ends_of_windows_is_the_same():
    tiny.bert(FOLDER)
    [expected] = BERTTextExtractor(str(FOLDER)).extract(["i love the good film"])
    (FOLDER / "vocab.txt").write_text("\r\n".join(tiny.VOCABULARY) + "\r\n", encoding="utf-8", newline="")
    [features] = BERTTextExtractor(str(FOLDER)).extract(["i love the good film"])
    np.testing.assert_array_equal(features.values, expected.values)


@pytest.mark.parametrize("content", [None, "", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"])
def test_without_a_vocabulary_not_every_word_is_unknown_but_the_weights_are_refused(content: str | None):
    tiny.bert(FOLDER)
    (FOLDER / "vocab.txt").unlink()
    if content is not None:
        (FOLDER / "vocab.txt").write_text(content)
    assert "vocab.txt" in refused()


def test_the_vocabulary_of_another_model_is_refused():
    tiny.bert(FOLDER)
    with (FOLDER / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("".join(f"word{i}\n" for i in range(10)))
    assert f"its vocabulary has {len(tiny.VOCABULARY) + 10} pieces" in refused()
