"""The simulator of docs/how-to/own-simulator.md runs as it stands there, and scales with its demand."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "own-simulator.md"


def test_the_example_scales_out_and_in_and_is_seldom_late(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    script = tmp_path / "simulator.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=50, check=False, cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    serving = [int(each) for each in re.findall(r"min: (\d+) serve", done.stdout)]
    late = [float(each) for each in re.findall(r"([\d.]+)% late", done.stdout)]
    assert len(serving) == 12
    assert max(serving) >= 6  # 30 requests/s at the top, 5 a replica
    assert serving[-1] <= 3
    assert late[-1] < 1.0
