"""用预训练特征训练融合模型：python scripts/train_pretrained.py --data-dir DIR --epochs 50 --batch-size 32 --lr 1e-4

The guide's entry file; the work is in trisent.training. Runs without an install, from any folder.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from trisent.cli.guide import train

if __name__ == "__main__":
    raise SystemExit(train())
