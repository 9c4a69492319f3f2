"""Media: a video file to clips, which are utterances with their words, sound and pictures."""
