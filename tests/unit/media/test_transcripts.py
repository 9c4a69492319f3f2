"""Given text: every way in which people write it down."""

from pathlib import Path

import pytest

from trisent.errors import UsageError
from trisent.media.transcripts import Sentence, read_transcript

SRT = "1\n00:00:01,000 --> 00:00:02,500\nI like it.\n\n2\n00:00:03,000 --> 00:00:04,000\nVery much,\nreally.\n"
CUES = [Sentence("I like it.", 1.0, 2.5), Sentence("Very much, really.", 3.0, 4.0)]


def read(folder: Path, text: str, name: str = "a.srt", encoding: str = "utf-8") -> list[Sentence]:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return read_transcript(str(path))


def texts(sentences: list[Sentence]) -> list[str]:
    return [s.text for s in sentences]


@pytest.mark.parametrize(
    "text",
    [
        SRT,
        SRT.replace("\n", "\r\n"),
        SRT.replace("\n", "\r"),
        "\ufeff" + SRT,
        SRT.replace("\n\n", "\n"),
        SRT.replace("\n\n", "\n \n\n"),
        "WEBVTT - title\n\nSTYLE\n::cue { color: red }\n\nNOTE a remark\n\n"
        + SRT.replace(",000", ".000").replace(",500", ".500"),
        SRT.replace("1\n00", "intro-1\n00").replace("2,500", "2,500 align:start position:0%"),
        SRT.replace("I like it.", "<i>I</i> <c.red>like</c> {\\an8}it."),
        SRT.replace("00:00:0", "00:0"),
    ],
    ids=["srt", "crlf", "cr", "bom", "no blank lines", "blank lines", "vtt", "identifiers", "markup", "short stamps"],
)
def test_subtitles_give_their_words_and_times(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == CUES


def test_cues_come_in_order_of_time(tmp_path: Path) -> None:
    first, second = SRT.split("\n\n")
    assert read(tmp_path, second + "\n" + first + "\n") == CUES


def test_a_cue_without_words_is_left_out(tmp_path: Path) -> None:
    text = "00:01.000 --> 00:02.000 align:start\n\n00:02.000 --> 00:03.000\nYes\n"
    assert read(tmp_path, text, "a.vtt") == [Sentence("Yes", 2.0, 3.0)]


def test_a_number_that_is_said_is_no_cue_number(tmp_path: Path) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n3\n\n00:02.000 --> 00:03.000\n2\n"
    assert texts(read(tmp_path, text, "a.vtt")) == ["3", "2"]


def test_captions_that_roll_up_say_every_line_once(tmp_path: Path) -> None:
    text = (
        "WEBVTT\nKind: captions\n\n00:00:00.000 --> 00:00:02.000 align:start\n \nso<00:00:00.400><c> this</c>"
        "\n\n00:00:02.000 --> 00:00:02.010 align:start position:0%\nso this\n \n\n00:00:02.010 --> 00:00:04.000\n"
        "so this\nis<00:00:02.500><c> great</c>\n\n"
    )
    assert [(s.text, s.start) for s in read(tmp_path, text, "a.vtt")] == [("so this", 0.0), ("is great", 2.01)]


def test_what_is_said_twice_stays_twice(tmp_path: Path) -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nNo.\n\n2\n00:00:02,000 --> 00:00:03,000\nNo.\n"
    assert texts(read(tmp_path, text)) == ["No.", "No."]


def test_entities_are_letters(tmp_path: Path) -> None:
    assert texts(read(tmp_path, SRT.replace("I like it.", "Rock &amp; roll&nbsp;&lt;3")))[0] == "Rock & roll <3"


def test_plain_text_is_cut_after_full_stops_and_at_line_ends() -> None:
    text = 'I like it. Dr. Smith said "No!" really?\nA new line\r\n我喜欢。你呢？“好。”她说'
    assert texts(read_transcript(text)) == [
        "I like it.",
        'Dr. Smith said "No!"',
        "really?",
        "A new line",
        "我喜欢。",
        "你呢？",
        "“好。”",
        "她说",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "gb18030"])
def test_chinese_text_is_read_in_the_encodings_of_china(tmp_path: Path, encoding: str) -> None:
    assert texts(read(tmp_path, "这部电影很好看。我很喜欢！", "字幕 1.txt", encoding)) == [
        "这部电影很好看。",
        "我很喜欢！",
    ]


@pytest.mark.parametrize(
    "data", ["café, déjà vu".encode("latin-1"), bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n" + bytes(50)]
)
def test_a_file_that_is_no_text_is_refused_with_the_expected_encoding(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(UsageError, match="UTF-8"):
        read_transcript(str(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    "name", ["missing.srt", "my talk.txt", "subs/talk", "/nowhere/字幕.vtt", "C:\\talk.srt", "a.docx"]
)
def test_a_name_of_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no such text file"):
        read_transcript(name)


@pytest.mark.parametrize("text", ["It was so-so and/or bad.", "Wow", "a.b", "x" * 5000, "见到你很高兴"])
def test_words_are_no_name(text: str) -> None:
    assert texts(read_transcript(text)) == [text]


@pytest.mark.parametrize("text", ["", " \n\t", "\ufeff", "WEBVTT\n\n", "1\n00:00:01,000 --> 00:00:02,000\n\n"])
def test_an_empty_text_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        read(tmp_path, text, "a.txt")


@pytest.mark.parametrize("name", ["talk.ass", "talk.SSA", "song.lrc", "talk.sbv"])
def test_subtitles_of_another_kind_are_refused_and_not_judged_as_words(tmp_path: Path, name: str):
    (tmp_path / name).write_text("[Script Info]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,Hello\n")
    with pytest.raises(UsageError, match=r"expected \.txt, \.srt or \.vtt"):
        read_transcript(str(tmp_path / name))
