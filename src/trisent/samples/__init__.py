"""Media made by the project (scripts/make_sample.py), for the demo and for tests."""

from pathlib import Path

TALK = Path(__file__).parent / "talk.mp4"
