"""The code keeps its own rules: ruff's lint with its security rules, its format, and ty's types."""

import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).parents[1]


def run(*command: object) -> None:
    result = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=PACK, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_lint():
    run("ruff", "check", "--output-format", "concise")


def test_format():
    run("ruff", "format", "--check")


def test_types(tmp_path):
    # ComfyUI loads this folder as a package, which is what `from ..lime_ops` in nodes/ means; a link gives it a name.
    pack = tmp_path / "lime_pack"
    pack.symlink_to(PACK, target_is_directory=True)
    settings = ("--python", sys.prefix, "--extra-search-path", tmp_path, "--output-format", "concise")
    run("ty", "check", *settings, pack / "nodes", "lime_ops", "demo", "benchmarks", "bulk")
