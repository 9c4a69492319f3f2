"""A text encoder that learns along, against transformers, the extractor that reads its folder afterwards, and peft."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import media_files
from trisent.checkpoint import Bundle, load_bundle, own_text_encoder, save_bundle
from trisent.data.batching import Examples
from trisent.data.dataset import Dataset, Sequences
from trisent.data.readers import read
from trisent.errors import BundleError, DataError, UsageError
from trisent.extractors.text import BERTTextExtractor
from trisent.fusion.batch import Output
from trisent.fusion.registry import build
from trisent.predictor import Predictor
from trisent.seeding import seeded
from trisent.training import TrainConfig, evaluate, fit, train
from trisent.training.finetune import Finetune, FineTuned, encoder_files, load_learner, texts_alone, tokens_of
from trisent.training.finetuned_data import dataset_for
from trisent.training.lora import add_adapters
from trisent.training.preparing import prepare
from trisent.training.resume import CHECKPOINT
from trisent.training.run import train_on
from trisent.training.settings import read_settings
from unit.extractors import tiny

TINY = Path("tiny-bert")
TEXTS = ["i love the film", "a bad film", "good, good!", "the film", "", "i loved a good film, i do!", "bad bad", "?"]
CONFIG = TrainConfig(epochs=3, batch_size=4, lr=1e-2, device="cpu", patience=9)


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with a tiny BERT in it, without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    monkeypatch.setenv("TRISENT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    tiny.bert(TINY)


def opinions(*, sound: bool = False) -> Dataset:
    """Texts with labels, "love" and "good" being good; with `sound` there are features of 3 numbers as well."""
    n = len(TEXTS)
    labels = np.float32([2.0 * ("love" in x or "good" in x) - 2.0 * ("bad" in x) for x in TEXTS])
    values = np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32)
    rows = Sequences(values, np.arange(n + 1), np.zeros(n, np.float32), np.ones(n, np.bool_))
    features = {"audio": rows} if sound else {}
    return Dataset("opinions", "", tuple(map(str, range(n))), ("train",) * n, {"sentiment": labels}, features, TEXTS)


def learner(how: Finetune, *, data: Dataset | None = None, **settings: float) -> tuple[FineTuned, Examples, object]:
    """Put a fusion model behind the tiny encoder: the module, the examples it learns from, and the encoder."""
    data = texts_alone(data or opinions())
    encoder = load_learner(how)
    examples = Examples(data, tokens=tokens_of(data.texts, encoder))
    with seeded(0):
        inner = build("concat", {"dims": {"text": encoder.dim, **examples.dims}, **settings})
        return FineTuned(encoder, inner, how=how), examples, encoder


def judged(network: torch.nn.Module, examples: Examples) -> Output:
    with torch.no_grad():
        return network.eval()(examples.batch(torch.arange(len(examples))))


def saved(folder: Path, network: FineTuned, encoder: object) -> Bundle:
    files, provenance = encoder_files(encoder, network)
    bundle = Bundle("concat", network.inner.config, None, {"text": provenance}, {}, {}, True, "", 0)
    save_bundle(folder, bundle, network.inner, parts=files)
    return bundle


@pytest.mark.parametrize("layers", ["last", "all", (1,)])
def test_the_encoder_makes_the_features_that_the_extractor_makes_of_the_same_texts(layers: object) -> None:
    texts = [*TEXTS, " ".join(["good", "bad"] * 400)]  # the last one is longer than the window
    how = Finetune(weights=str(TINY), layers=layers)
    encoder = load_learner(how)
    network = FineTuned(encoder, build("concat", {"dims": {"text": encoder.dim}}), how=how).eval()
    tokens, mask = tokens_of(texts, encoder).padded(np.arange(len(texts)))
    with torch.no_grad():
        values = network.encode(tokens, mask)
    for i, expected in enumerate(BERTTextExtractor(str(TINY), layers=layers).extract(texts)):
        np.testing.assert_allclose(values[i][mask[i]].numpy(), expected.values, atol=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_bundle_judges_texts_as_the_model_did_that_was_trained(method: str) -> None:
    network, examples, encoder = learner(Finetune(method, str(TINY), lr=1e-2), data=opinions(sound=True))
    before = judged(network, examples).sentiment
    fit(network, examples, examples, CONFIG)
    trained = judged(network, examples)
    assert (trained.sentiment - before).abs().max() > 0.1  # it did learn
    network.merge()
    saved(Path("bundle"), network, encoder)

    bundle, model = load_bundle(Path("bundle"))
    again = Examples(dataset_for(Path("bundle"), bundle, opinions(sound=True)))
    torch.testing.assert_close(judged(model, again).sentiment, trained.sentiment, atol=1e-4, rtol=0)
    torch.testing.assert_close(judged(model, again).class_logits, trained.class_logits, atol=1e-4, rtol=0)


def test_an_encoder_that_learns_takes_the_data_by_heart_where_texts_differ_by_one_word() -> None:
    network, examples, _ = learner(Finetune(weights=str(TINY), lr=5e-3), dropout=0.0, hidden=32)
    history = fit(network, examples, examples, replace(CONFIG, epochs=60, lr=5e-3, patience=60))
    assert history.best.valid.mae < 0.6 < history.epochs[0].valid.mae


def test_adapters_leave_the_weights_alone_until_they_are_merged() -> None:
    network, examples, _ = learner(Finetune("lora", str(TINY), lr=1e-2))
    original = load_file(TINY / "model.safetensors")["bert.encoder.layer.0.attention.self.query.weight"]
    fit(network, examples, examples, CONFIG)
    state = network.encoder.state_dict()
    name = "model.encoder.layer.0.attention.self.query"
    assert torch.equal(state[f"{name}.base_layer.weight"], original)
    change = 2 * state[f"{name}.lora_B.default.weight"] @ state[f"{name}.lora_A.default.weight"]  # alpha / rank is 2
    assert change.abs().max() > 0
    network.merge()
    weight = network.encoder.state_dict()["encoder.layer.0.attention.self.query.weight"]
    torch.testing.assert_close(weight, original + change)


def test_adapted_layers_compute_and_learn_as_those_of_peft_do() -> None:
    ours = load_learner(Finetune("lora", str(TINY))).model
    theirs = copy.deepcopy(ours)
    with seeded(0):
        adapted = add_adapters(ours, rank=4).train()
    plain = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["query", "key", "value", "dense"]}
    reference = peft.LoraModel(theirs, peft.LoraConfig(**plain), "default").train()
    for network in (adapted, reference):
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.1, generator=torch.Generator().manual_seed(len(name)))
    reference.load_state_dict(adapted.state_dict())
    ids = torch.arange(5, 29).view(2, 12)
    for network in (adapted, reference):
        network(input_ids=ids).last_hidden_state.square().sum().backward()
    gradients = {name: p.grad for name, p in reference.named_parameters() if p.requires_grad}
    assert len(gradients) > 4
    for name, p in adapted.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(p.grad, gradients[name], rtol=1e-3, atol=1e-4)
    found = [network(input_ids=ids).last_hidden_state for network in (adapted, reference)]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_only_adapters_and_the_fusion_model_learn_with_lora() -> None:
    network, _, _ = learner(Finetune("lora", str(TINY), lr=0.5))
    groups = network.parameter_groups(0.25, 0.01)
    names = {p: name for name, p in network.named_parameters()}
    rates = {names[p]: group["lr"] for group in groups for p in group["params"]}
    assert {rate for name, rate in rates.items() if "lora_" in name} == {0.5}
    assert {name for name, rate in rates.items() if rate == 0.25} == {
        n for n in names.values() if n.startswith("inner.")
    }
    assert all("lora_" in name or name.startswith("inner.") for name in rates)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_batch_of_many_pieces_is_read_in_parts_for_the_same_gradients(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradients(kept: int) -> tuple[list[int], dict[str, torch.Tensor]]:
        monkeypatch.setattr("trisent.training.finetune._PIECES_KEPT", kept)
        network, examples, _ = learner(Finetune(method, str(TINY)))
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # drawn for each part, so for other pieces
        windows: list[int] = []
        network.encoder.encoder.layer[0].intermediate.register_forward_hook(lambda _, x, __: windows.append(len(x[0])))
        batch = examples.batch(torch.arange(len(examples)))
        with seeded(1):
            network.train().loss(network(batch), batch).backward()
        return windows, {n: p.grad for n, p in network.named_parameters() if p.grad is not None}

    spoken = sum(bool(text.strip()) for text in TEXTS)
    (whole, kept), (parts, recomputed) = gradients(1_000_000), gradients(1)
    assert whole == [spoken]
    assert parts == [1] * 2 * spoken  # there, and once more on the way back
    assert kept.keys() == recomputed.keys()
    for name, gradient in kept.items():
        torch.testing.assert_close(recomputed[name], gradient, msg=name)


def test_biases_and_norms_do_not_decay_and_nothing_that_learns_is_left_out() -> None:
    network, _, _ = learner(Finetune(weights=str(TINY)))
    groups = network.parameter_groups(1e-3, 0.01)
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    for group in groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_fine_tuning_that_was_interrupted_goes_on_to_the_same_weights(method: str) -> None:
    def die(_: object) -> None:
        raise KeyboardInterrupt

    how = Finetune(method, str(TINY), lr=1e-2)
    whole, examples, _ = learner(how)
    fit(whole, examples, examples, CONFIG)
    with pytest.raises(KeyboardInterrupt):
        fit(learner(how)[0], examples, examples, CONFIG, run_folder=Path("run"), on_epoch=die)
    assert (Path("run") / CHECKPOINT).is_file()
    resumed = learner(how)[0]
    assert fit(resumed, examples, examples, CONFIG, run_folder=Path("run")).resumed_after == 1
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_layers_above_the_features_are_left_out_of_what_is_saved() -> None:
    network, _, encoder = learner(Finetune(weights=str(TINY), layers=(1,)))
    saved(Path("bundle"), network, encoder)
    names = load_file("bundle/text_encoder/model.safetensors")
    assert {n.split(".")[2] for n in names if n.startswith("encoder.layer.")} == {"0"}
    extractor = BERTTextExtractor("bundle/text_encoder", layers=(1,))
    [expected] = BERTTextExtractor(str(TINY), layers=(1,)).extract(["a good film"])
    np.testing.assert_allclose(extractor.extract(["a good film"])[0].values, expected.values, atol=1e-5)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_bundle_whose_encoder_was_changed_is_refused(name: str) -> None:
    network, _, encoder = learner(Finetune(weights=str(TINY)))
    saved(Path("bundle"), network, encoder)
    path = Path("bundle/text_encoder") / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"text_encoder/{name} is damaged"):
        load_bundle(Path("bundle"))
    path.unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(Path("bundle"))


def test_a_bundle_without_an_encoder_of_its_own_leaves_the_data_as_they_are() -> None:
    data = opinions(sound=True)
    model = build("concat", {"dims": {"audio": 3}})
    bundle = Bundle("concat", model.config, None, None, {}, {}, True, "", 0)
    save_bundle(Path("bundle"), bundle, model)
    assert dataset_for(Path("bundle"), bundle, data) is data
    assert own_text_encoder(Path("bundle"), bundle) is None


def test_a_hidden_text_has_no_influence() -> None:
    network, examples, _ = learner(Finetune(weights=str(TINY)), data=opinions(sound=True))
    network.eval()
    batch = examples.batch(torch.arange(3))
    others = replace(batch.only(("audio",)), tokens=batch.tokens.flip(0))
    with torch.no_grad():
        assert torch.equal(network(batch.only(("audio",))).sentiment, network(others).sentiment)
        assert not torch.equal(network(batch).sentiment, network(others).sentiment)


def test_data_without_texts_cannot_be_fine_tuned_on_nor_judged_by_such_a_bundle() -> None:
    silent = replace(opinions(sound=True), texts=(" ",) * len(TEXTS))
    with pytest.raises(DataError, match="no texts"):
        texts_alone(silent)
    network, _, encoder = learner(Finetune(weights=str(TINY)))
    bundle = saved(Path("bundle"), network, encoder)
    with pytest.raises(DataError, match="no texts"):
        dataset_for(Path("bundle"), bundle, silent)


@pytest.mark.parametrize("wrong", [{"method": "half"}, {"lr": 0.0}, {"lr": 2.0}, {"rank": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="finetune"):
        Finetune(**wrong)


@pytest.mark.parametrize("layers", ["first", [], [99], [0], 3, True], ids=str)
def test_layers_that_the_encoder_does_not_have_are_refused(layers: object) -> None:
    with pytest.raises(UsageError, match=r"finetune\.layers"):
        load_learner(Finetune(weights=str(TINY), layers=layers))


def test_a_video_is_judged_by_what_is_said_in_it_with_the_bundle_s_own_encoder() -> None:
    network, examples, encoder = learner(Finetune(weights=str(TINY), lr=1e-2))
    fit(network, examples, examples, CONFIG)
    trained = judged(network, examples).sentiment
    saved(Path("bundle"), network, encoder)
    media_files.write(Path("talk.mp4"), pictures=media_files.greys(25), sound=media_files.tone(1.0))
    predictor = Predictor.from_bundle(Path("bundle"), device="cpu")
    assert predictor.provenance["text"].weights == "text_encoder"
    for i in (0, 1, 5):
        [prediction] = predictor.predict("talk.mp4", TEXTS[i]).predictions
        assert prediction.judgement.sentiment == pytest.approx(float(trained[i]), abs=1e-4)
        assert set(prediction.missing) == {"audio", "video"}
        assert set(prediction.missing.values()) == {"not part of this model"}


def table(path: Path) -> Path:
    """Write texts with labels, no features."""
    texts = ("bad film", "good film", "the bad", "i love a film")
    rows = [f"{mode}{i},0,{x},{6 * (i % 2) - 3},{mode}" for mode in ("train", "valid") for i, x in enumerate(texts)]
    path.mkdir()
    text = "\n".join(["video_id,clip_id,text,label,mode", *rows]) + "\n"
    (path / "label.csv").write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_table_of_texts_and_labels_is_enough_to_train_and_its_run_can_be_judged_again(method: str) -> None:
    data = table(Path("table"))
    config = TrainConfig(epochs=2, batch_size=4, lr=1e-2, device="cpu")
    result = train(data, out=Path("run"), config=config, finetune=Finetune(method, str(TINY), lr=1e-2))
    bundle, model = load_bundle(Path("run"))
    assert bundle.model_config["dims"] == {"text": 3 * 16}
    assert bundle.extractors["text"].weights == "text_encoder"
    dataset = dataset_for(Path("run"), bundle, read(data))
    again = Examples(dataset, dataset.index("valid"))
    assert evaluate(model, again).mae == pytest.approx(result.bundle.scores["valid"].mae, abs=1e-4)
    assert not (Path("run") / CHECKPOINT).exists()


def test_several_seeds_each_begin_with_the_weights_that_were_loaded() -> None:
    prepared = prepare(table(Path("table")), finetune=Finetune(weights=str(TINY), lr=1e-2))
    config = TrainConfig(epochs=1, batch_size=4, lr=1e-2, device="cpu")
    first = train_on(prepared, out=Path("one"), config=config)
    again = train_on(prepared, out=Path("two"), config=config)
    assert first.bundle.extractors == again.bundle.extractors  # the digest of the encoder is in there


def test_texts_without_features_say_how_to_learn_from_them() -> None:
    with pytest.raises(DataError, match="--finetune full"):
        train(table(Path("table")), out=Path("run"), config=CONFIG)


def test_settings_of_fine_tuning_are_read_from_a_file_and_bring_their_recipe() -> None:
    Path("a.toml").write_text('[finetune]\nmethod = "lora"\nlayers = [0, 1]\nlr = 1e-3\n[train]\nepochs = 7\n')
    settings = read_settings(Path("a.toml"), assignments=["finetune.rank=4"])
    assert settings.finetune == Finetune("lora", "minilm-l6", [0, 1], 1e-3, 4)
    assert (settings.train.epochs, settings.train.lr, settings.train.schedule) == (7, 1e-3, "linear")
    assert settings.model == "gated"
    assert read_settings(Path("a.toml"), flags={"model.name": "concat"}).model == "concat"
    assert read_settings().finetune is None
    assert read_settings().train == TrainConfig()
    with pytest.raises(UsageError, match="finetune has method"):
        read_settings(assignments=["finetune.test=1"])


def test_a_fusion_model_that_weighs_layers_is_told_how_many_there_are() -> None:
    how = Finetune(weights=str(TINY))
    config = TrainConfig(epochs=1, batch_size=4, lr=1e-2, device="cpu")
    result = train(table(Path("table")), out=Path("run"), config=config, model="gated", finetune=how)
    assert result.bundle.model_config["layers"] == {"text": 3}
    assert result.bundle.extractors["text"].layers == (0, 1, 2)
    deep = train(table(Path("other")), out=Path("mult"), config=config, model="mult", finetune=how)
    assert deep.bundle.model_config["layers"] == 2  # its own depth


def test_nobody_is_warned_of_the_encoder_that_a_bundle_brings(caplog: pytest.LogCaptureFixture) -> None:
    network, _, encoder = learner(Finetune(weights=str(TINY)))
    bundle = saved(Path("bundle"), network, encoder)
    caplog.clear()
    dataset_for(Path("bundle"), bundle, opinions())
    assert not caplog.records
