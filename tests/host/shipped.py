"""What users of the pack get: what `comfy node pack` puts into its archive."""

from pathlib import Path

from pathspec import GitIgnoreSpec

PACK = Path(__file__).resolve().parents[2]


def left_out() -> list[str]:
    """The rules of .comfyignore. Each begins with a slash: `docs/` alone would take web/docs/ along."""
    return (PACK / ".comfyignore").read_text().splitlines()


def shipped_files() -> list[Path]:
    """Paths of files that neither .gitignore nor .comfyignore names, in order."""
    spec = GitIgnoreSpec.from_lines([".git", *(PACK / ".gitignore").read_text().splitlines(), *left_out()])

    def ships(path: Path) -> bool:
        return not spec.match_file(f"{path.relative_to(PACK).as_posix()}{'/' * path.is_dir()}")

    tops = [path for path in PACK.iterdir() if ships(path)]  # never walks what is left out whole, as .venv
    files = [file for top in tops for file in (top.rglob("*") if top.is_dir() else [top]) if file.is_file()]
    return sorted(filter(ships, files))
