"""wav2vec 2.0音频特征提取器的自检，权重不在时自动下载：python src/features/wav2vec_extractor.py

The guide's entry file; the work is in trisent.extractors. Runs without an install, from any folder.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trisent.cli.guide import wav2vec

if __name__ == "__main__":
    raise SystemExit(wav2vec())
