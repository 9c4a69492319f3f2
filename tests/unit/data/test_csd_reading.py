"""Folders of .csd files as data sets."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from trisent.data.csd.files import Csd
from trisent.data.dataset import Dataset
from trisent.data.formats import csd
from trisent.errors import DataError
from unit.data.csd_files import column, put, small_folder


def steps(dataset: Dataset, utterance: str, modality: str) -> list[float]:
    return dataset.features[modality].of(dataset.ids.index(utterance)).values[:, 0].tolist()  # type: ignore[index]


def test_utterances_are_the_rows_of_the_labels_in_the_order_of_their_videos(tmp_path: Path) -> None:
    dataset = csd.read(small_folder(tmp_path))
    assert dataset.ids == ("a[0]", "a[1]", "b[0]")
    assert dataset.videos == ("a", "a", "b")
    assert dataset.spans.tolist() == [[0, 2], [3, 5], [0, 2]]
    assert dataset.sentiment.tolist() == [1, -3, -3]
    emotions = {name: values[0] for name, values in dataset.labels.items() if name != "sentiment"}
    assert emotions == {"happiness": 0, "sadness": 1, "anger": 2, "surprise": 3, "disgust": 0, "fear": 0}


def test_texts_are_the_words_without_pauses(tmp_path: Path) -> None:
    assert csd.read(small_folder(tmp_path)).texts == ("so good", "too bad", "hm")


@pytest.mark.parametrize("kind", [h5py.string_dtype(), np.dtype("S8")], ids=["any length", "eight bytes"])
def test_words_are_utf8_of_any_or_of_one_length_and_what_is_not_is_marked(tmp_path: Path, kind: np.dtype) -> None:
    words = np.array([["né".encode()], [b"\xff!"]], dtype=object)
    put(tmp_path / "l.csd", "All Labels", {"a": (np.ones((1, 7)), [[0, 2]])})
    put(tmp_path / "w.csd", "words", {"a": (words.astype(kind), [[0, 1], [1, 2]])})
    assert csd.read(tmp_path).texts == ("né \ufffd!",)


def test_word_by_word_sound_and_pictures_are_averaged_over_each_word(tmp_path: Path) -> None:
    dataset = csd.read(small_folder(tmp_path))
    assert steps(dataset, "a[0]", "text") == [1, 2]
    assert steps(dataset, "a[0]", "audio") == [0.5, 2.5]
    assert steps(dataset, "a[1]", "audio") == [6.5, 8.5]
    assert steps(dataset, "a[1]", "video") == [13, 0]
    assert dataset.features["video"].of(1).mask.tolist() == [True, False]
    assert dataset.features["audio"].of(1).times.tolist() == [0.5, 1.5]
    assert "sound and pictures are averaged over each word" in dataset.notes


def test_as_segments_every_modality_keeps_its_own_rows_and_times(tmp_path: Path) -> None:
    dataset = csd.read(small_folder(tmp_path), align="segments")
    assert steps(dataset, "a[1]", "audio") == [6, 7, 8, 9]
    assert dataset.features["audio"].of(1).times.tolist() == [0.25, 0.75, 1.25, 1.75]
    assert steps(dataset, "a[1]", "text") == [3, 4]
    assert steps(dataset, "a[1]", "video") == [13]


def test_pooled_there_is_one_average_an_utterance(tmp_path: Path) -> None:
    dataset = csd.read(small_folder(tmp_path), align="pooled")
    assert [steps(dataset, u, "audio") for u in dataset.ids] == [[1.5], [7.5], [8]]
    assert [steps(dataset, u, "text") for u in dataset.ids] == [[1.5], [3.5], [5]]
    assert dataset.features["audio"].of(0).times.tolist() == [1]


def test_a_video_that_a_file_lacks_is_kept_and_has_no_steps_there(tmp_path: Path) -> None:
    dataset = csd.read(small_folder(tmp_path), align="pooled")
    assert dataset.features["video"].lengths.tolist() == [1, 1, 0]
    assert "video: 1 utterances have nothing at their time (b[0])" in dataset.notes


def test_without_vectors_for_words_the_words_make_the_steps_and_pauses_none(tmp_path: Path) -> None:
    folder = small_folder(tmp_path)
    (folder / "g.csd").unlink()
    put(folder / "l.csd", "Opinion Segment Labels", {"a": (column(2), [[0, 5]])})
    dataset = csd.read(folder)
    assert list(dataset.features) == ["audio", "video"]
    assert list(dataset.labels) == ["sentiment"]
    assert steps(dataset, "a[0]", "audio") == [0.5, 2.5, 6.5, 8.5]


def test_neither_the_order_of_rows_nor_of_entries_nor_of_files_matters(tmp_path: Path) -> None:
    folder, rng = small_folder(tmp_path / "one"), np.random.default_rng(0)
    (other := tmp_path / "two").mkdir()
    for name, new in (("g.csd", "9.csd"), ("c.csd", "8.csd"), ("f.csd", "7.csd"), ("w.csd", "0.csd")):
        with Csd(folder / name) as file:
            entries = {}
            for video in reversed(list(file.videos)):
                rows = file.video(video)
                order = rng.permutation(len(rows.intervals))
                values = rows.values[order]
                shuffled = np.array([[w.encode()] for w in values]) if file.words else values
                entries[video] = (shuffled, rows.intervals[order])
            put(other / new, file.root, entries)
    shutil.copy(folder / "l.csd", other / "zz.csd")
    for align in ("words", "segments", "pooled"):
        one, two = csd.read(folder, align=align), csd.read(other, align=align)  # type: ignore[arg-type]
        assert (one.ids, one.texts) == (two.ids, two.texts)
        for m, s in one.features.items():
            assert np.array_equal(s.values, two.features[m].values)
            assert np.array_equal(s.times, two.features[m].times)
            assert np.array_equal(s.mask, two.features[m].mask)


def test_entries_of_single_words_are_put_together_to_their_video(tmp_path: Path) -> None:
    folder = small_folder(tmp_path)
    put(folder / "g.csd", "glove_vectors", {f"a[{k}]": (column(k), [[k, k + 1]]) for k in range(11)})
    assert steps(csd.read(folder, align="segments"), "a[1]", "text") == [3, 4]


def test_files_that_are_aligned_already_are_joined_by_their_keys(tmp_path: Path) -> None:
    # The utterances overlap, so times alone would give the first one the second one's row.
    spans = {"a[0]": [0, 3], "a[2]": [2, 5]}
    put(tmp_path / "l.csd", "All Labels", {k: (np.ones((1, 7)), [s]) for k, s in spans.items()})
    put(tmp_path / "c.csd", "COVAREP", {"a[0]": (column(1, 2), [[0, 1], [1, 3]]), "a[2]": (column(9), [[2, 5]])})
    dataset = csd.read(tmp_path, align="segments")
    assert dataset.ids == ("a[0]", "a[2]")
    assert steps(dataset, "a[0]", "audio") == [1, 2]


def test_equal_keys_that_count_words_are_not_taken_for_utterances(tmp_path: Path) -> None:
    put(tmp_path / "l.csd", "All Labels", {f"a[{k}]": (np.ones((1, 7)), [[10 * k + 5, 10 * k + 9]]) for k in range(2)})
    put(tmp_path / "c.csd", "COVAREP", {f"a[{k}]": (column(k), [[k, k + 1]]) for k in range(20)})
    assert steps(csd.read(tmp_path, align="segments"), "a[0]", "audio") == [5, 6, 7, 8]


def test_broken_intervals_are_kept_and_told(tmp_path: Path) -> None:
    put(tmp_path / "l.csd", "All Labels", {"a": (np.zeros((4, 7)), [[0, 1], [1, 1], [3, 2], [-1, 0]])})
    put(tmp_path / "c.csd", "COVAREP", {"a": (column(1, 2), [[0, 1], [np.nan, 2]])})
    dataset = csd.read(tmp_path)
    assert dataset.spans.tolist() == [[0, 1], [1, 1], [3, 2], [-1, 0]]
    assert dataset.features["audio"].lengths.tolist() == [1, 0, 0, 0]
    assert any("l.csd: of 4 intervals, 1 have no length, 1 end before" in n and "1 begin" in n for n in dataset.notes)
    assert any("c.csd: of 2 intervals" in n and "1 are no numbers" in n for n in dataset.notes)


def test_odd_entries_are_left_out_and_told(tmp_path: Path) -> None:
    entries = {"a": (column(1), [[0, 1]]), "b": (column(1, 2), [[0, 1]]), "c": (np.ones((1, 2)), [[0, 1]])}
    put(tmp_path / "c.csd", "COVAREP", {**entries, "d": (column(1), [[0, 1, 2]])})
    put(tmp_path / "l.csd", "All Labels", {v: (np.ones((1, 7)), [[0, 1]]) for v in "abcd"})
    dataset = csd.read(tmp_path)
    assert dataset.features["audio"].lengths.tolist() == [1, 0, 0, 0]
    assert (
        "c.csd: 3 entries are left out, as their features, their intervals or both are odd (b, c, d)" in dataset.notes
    )


@pytest.mark.parametrize(
    ("file", "root", "modality"),
    [
        ("x", "glove_vectors", "text"),
        ("x", "COVAREP", "audio"),
        ("x", "OpenSMILE", "audio"),
        ("x", "hubert_large", "audio"),
        ("x", "FACET 4.2", "video"),
        ("x", "OpenFace_2", "video"),
        ("CMU_MOSEI_VisualFacet42", "x", "video"),
        ("CMU_MOSEI_TimestampedWordVectors", "x", "text"),
        ("CMU_MOSI_openSMILE_IS09", "x", "audio"),
    ],
)
def test_the_modality_is_told_by_the_usual_names(tmp_path: Path, file: str, root: str, modality: str) -> None:
    put(tmp_path / "l.csd", "All Labels", {"a": (np.ones((1, 7)), [[0, 1]])})
    put(tmp_path / f"{file}.csd", root, {"a": (column(1), [[0, 1]])})
    assert list(csd.read(tmp_path).features) == [modality]


def test_the_description_tells_the_modality_where_names_do_not(tmp_path: Path) -> None:
    put(tmp_path / "l.csd", "All Labels", {"a": (np.ones((1, 7)), [[0, 1]])})
    about = {"computational sequence description": "Acoustic features"}
    put(tmp_path / "x.csd", "x", {"a": (column(1), [[0, 1]])}, **about)
    assert list(csd.read(tmp_path).features) == ["audio"]


def test_of_two_sequences_of_one_modality_the_usual_one_is_taken_and_the_other_told(tmp_path: Path) -> None:
    put(tmp_path / "l.csd", "All Labels", {"a": (np.ones((1, 7)), [[0, 1]])})
    for value, root in enumerate(("OpenFace_2", "FACET 4.2", "phones", "secret")):
        put(tmp_path / f"{value}.csd", root, {"a": (column(value), [[0, 1]])})
    dataset = csd.read(tmp_path)
    assert steps(dataset, "a[0]", "video") == [1]
    assert sum("is left out" in note for note in dataset.notes) == 3


def test_metadata_are_read_as_json_and_else_as_text(tmp_path: Path) -> None:
    path = put(tmp_path / "c.csd", "COVAREP", {"a": (column(1), [[0, 1]])}, creator={"name": "Ada"})
    with h5py.File(path, "a") as file:
        file.create_dataset("COVAREP/metadata/note", data=["no json"], dtype=h5py.string_dtype())
    with Csd(path) as found:
        assert found.metadata["creator"] == {"name": "Ada"}
        assert found.metadata["dimension namescomputational sequence version"] == "?"
        assert found.metadata["note"] == "no json"


def test_videos_of_mosei_are_in_their_official_splits(tmp_path: Path) -> None:
    videos = ("hh04W3xXa5s", "188343", "7l3BNtSE0xc")
    put(tmp_path / "l.csd", "All Labels", {v: (np.ones((2, 7)), [[0, 1], [1, 2]]) for v in videos})
    dataset = csd.read(tmp_path)
    split = dict(zip(dataset.videos, dataset.splits, strict=True))
    assert [split[video] for video in videos] == ["train", "valid", "test"]


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = put(tmp_path / "COVAREP.csd", "COVAREP", {f"v{k}": (np.ones((50, 9)), np.ones((50, 2))) for k in range(9)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"COVAREP\.csd cannot be read .* fetch it again"):
        csd.read(tmp_path)


def test_a_damaged_block_is_refused_by_name(tmp_path: Path) -> None:
    folder = small_folder(tmp_path)
    noise = np.random.default_rng(0).normal(size=(2000, 1))
    path = put(folder / "c.csd", "COVAREP", {"a": (noise, np.stack([np.arange(2000)] * 2, axis=1))})
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        at = file["COVAREP/data/a/features"].id.get_chunk_info(0).byte_offset
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"c\.csd cannot be read"):
        csd.read(folder)


def test_hdf5_of_another_kind_and_other_files_are_refused_with_what_was_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.csd", "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(DataError, match=r"no computational sequence: expected /NAME/data, found weights"):
        csd.read(tmp_path)
    (tmp_path / "x.csd").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"x\.csd cannot be read"):
        csd.read(tmp_path)


@pytest.mark.parametrize("place", ["COVAREP", "COVAREP/data", "COVAREP/data/a", "COVAREP/data/a/features"])
@pytest.mark.parametrize("link", [h5py.ExternalLink("secret.h5", "/"), h5py.SoftLink("/other")], ids=["file", "path"])
def test_links_are_refused_wherever_they_lie(tmp_path: Path, place: str, link: object) -> None:
    path = put(tmp_path / "c.csd", "COVAREP", {"a": (column(1), [[0, 1]])})
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = link
    with pytest.raises(DataError, match="is a link to elsewhere; refused"):
        Csd(path)


def test_rows_kept_in_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8))
    path = put(tmp_path / "c.csd", "COVAREP", {"a": (column(1), [[0, 1]])})
    with h5py.File(path, "a") as file:
        del file["COVAREP/data/a/features"]
        outside = [(str(tmp_path / "secret"), 0, 4)]
        file.create_dataset("COVAREP/data/a/features", (1, 1), np.float32, external=outside)
    with pytest.raises(DataError, match="refused"):
        Csd(path)


def test_rows_that_were_never_stored_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    path = put(tmp_path / "c.csd", "COVAREP", {"a": (column(1), [[0, 1]])})
    with h5py.File(path, "a") as file:
        del file["COVAREP/data/a/features"]
        file.create_dataset("COVAREP/data/a/features", (1 << 40, 1000), np.float32, chunks=(1, 1000))
    with pytest.raises(DataError, match="claims 4398046511104000 bytes, and 0 are in the file"):
        Csd(path)


def test_a_folder_without_labels_says_what_to_put_there(tmp_path: Path) -> None:
    put(tmp_path / "c.csd", "COVAREP", {"a": (column(1), [[0, 1]])})
    with pytest.raises(DataError, match=r"found: c\.csd \(COVAREP\).*CMU_MOSEI_Labels\.csd"):
        csd.read(tmp_path)


def test_labels_of_another_width_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "l.csd", "All Labels", {"a": (np.ones((1, 3)), [[0, 1]])})
    with pytest.raises(DataError, match=r"7 \(sentiment, happiness.*got 3"):
        csd.read(tmp_path)


def test_files_and_folders_are_recognised_by_their_suffix(tmp_path: Path) -> None:
    assert not csd.recognises(tmp_path)
    assert not csd.recognises(tmp_path / "absent.csd")
    small_folder(tmp_path)
    assert csd.recognises(tmp_path)
    assert csd.recognises(tmp_path / "c.csd")
