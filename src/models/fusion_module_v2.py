"""多模态融合模块 v2 的自检，无需下载：python src/models/fusion_module_v2.py

The guide's entry file; the work is in trisent.fusion.check. Runs without an install, from any folder.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trisent.cli.guide import fusion

if __name__ == "__main__":
    raise SystemExit(fusion())
