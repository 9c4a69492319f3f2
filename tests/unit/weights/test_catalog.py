"""The catalog against the measured facts."""

import re
import subprocess
import sys

import pytest

from trisent.errors import WeightsError
from trisent.weights import entries, entry
from trisent.weights.catalog import hub_id, known
from unit.weights.tiny import environment

# sha256 of the weights, computed from the published wheels and searched in public files (never from our own catalog).
FACTS = {
    ("minilm-l6", "model.safetensors"): "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ("whisper-tiny-en", "model.bin"): "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    (
        "efficientnet-lite0",
        "efficientnet-lite0-57934424.pth",
    ): "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ("mtcnn", "onet.pt"): "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
    ("mtcnn", "pnet.pt"): "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    ("mtcnn", "rnet.pt"): "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    ("mini-xception", "emotion_model.hdf5"): "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
    ("bert-base-uncased", "model.safetensors"): "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
    ("bert-base-uncased", "pytorch_model.bin"): "097417381d6c7230bd9e3557456d726de6e83245ec8b24f529f60198a67b203a",
    ("wav2vec2-base", "pytorch_model.bin"): "3249fe98bfc62fcbc26067f724716a6ec49d12c4728a2af1df659013905dff21",
    ("resnet50", "resnet50-0676ba61.pth"): "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ("resnet50", "model.safetensors"): "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
    ("resnet50-v2", "resnet50-11ad3fa6.pth"): "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    ("wav2vec2-base-960h", "model.safetensors"): "8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a",
}


def test_every_weights_file_has_the_measured_digest() -> None:
    assert {(e.name, file.path): file.sha256 for e in entries() for file in e.weights} == FACTS


def test_every_file_is_pinned_by_64_hex_digits_and_a_size() -> None:
    files = [file for e in entries() for file in e.files]
    assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) and file.bytes > 0 for file in files)


def test_bert_and_minilm_share_one_vocabulary_file() -> None:
    vocabularies = [
        next(f for f in entry(name).files if f.path == "vocab.txt") for name in ("bert-base-uncased", "minilm-l6")
    ]
    assert vocabularies[0].sha256 == vocabularies[1].sha256


def test_the_needed_files_of_bert_have_the_published_total() -> None:
    assert sum(file.bytes for file in entry("bert-base-uncased").needed) == 441_147_956


def test_every_entry_has_a_source_a_licence_and_its_preprocessing() -> None:
    for e in entries():
        assert e.licence
        assert e.preprocessing
        assert (e.package and e.version and e.wheel_bytes) or (e.repo and (e.revision or e.unpinned)) or e.url


def test_what_nobody_has_proven_claims_no_bytes_and_belongs_to_no_preset() -> None:
    unpinned = [e for e in entries() if e.unpinned]
    assert len(unpinned) >= 24
    assert not any(e.preset for e in unpinned)
    # wav2vec2-base-960h: its weights and one small file are proven, its config is not.
    assert {e.name for e in unpinned if e.files} == {"wav2vec2-base-960h"}


@pytest.mark.parametrize(
    "name",
    ["bert-base-chinese", "chinese-roberta-wwm-ext", "chinese-wav2vec2-base", "chinese-hubert-base", "roberta-large",
     "wavlm-large", "whisper-large-v3", "clip-vit-large-patch14", "dinov2-base", "data2vec-audio-base"],
)  # fmt: skip
def test_an_unpinned_name_leads_to_its_hub_repository_and_back(name: str) -> None:
    repo = hub_id(name)
    assert repo.partition("/")[2] == name
    assert entry(repo).name == name
    assert known(name) is None


def test_the_name_of_whisper_tiny_does_not_mean_the_english_one() -> None:
    assert entry("openai/whisper-tiny").unpinned
    assert entry("openai/whisper-tiny.en").name == "whisper-tiny-en"


def test_no_two_entries_share_a_name_or_an_alias() -> None:
    names = [name.lower() for e in entries() for name in (e.name, *e.aliases) if name.lower() != e.name]
    assert len(names) == len(set(names))
    assert not set(names) & {e.name for e in entries()}


def test_pretrained_weights_name_an_embedded_counterpart_of_their_modality() -> None:
    for e in entries("pretrained"):
        assert entry(e.counterpart).preset == "embedded"
        assert entry(e.counterpart).modality == e.modality


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("bert-base-uncased", "bert-base-uncased"),
        ("google-bert/bert-base-uncased", "bert-base-uncased"),
        ("BERT-base-uncased", "bert-base-uncased"),
        ("facebook/wav2vec2-base", "wav2vec2-base"),
        ("resnet50", "resnet50"),
    ],
)
def test_an_alias_leads_to_its_entry(alias: str, name: str) -> None:
    assert entry(alias).name == name


def test_a_misspelt_name_gets_the_close_one_in_the_message() -> None:
    with pytest.raises(WeightsError, match="did you mean bert-base-uncased"):
        entry("bert-base-uncase")


def test_an_unknown_preset_is_refused_by_name() -> None:
    with pytest.raises(WeightsError, match="embedded, pretrained"):
        entries("embeded")


HEAVY = ("torch", "transformers", "huggingface_hub", "httpx2", "filelock", "truststore")


def test_importing_weights_imports_nothing_heavy() -> None:
    code = f"import sys, trisent.weights; print(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert run.stdout.strip() == ""
