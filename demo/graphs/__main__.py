"""`python -m demo.graphs`: writes the blueprints and templates anew, and draws the templates' thumbnails,
icon and banner."""

import argparse
import json
import sys

from ..client import Client
from ..host import PACK
from ..server import comfyui_server
from .artwork import draw
from .files import files
from .thumbnails import SHOWN, card, thumbnail


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.graphs", description=__doc__)
    parser.add_argument("--thumbnails", action="store_true", help="run every template and draw its picture too")
    options = parser.parse_args()
    with comfyui_server() as address:
        client = Client(address)
        info = client.object_info()
        written = {PACK / path: text for path, text in files(info).items()}
        for path, text in written.items():
            path.write_text(text, encoding="utf-8")
        if options.thumbnails:
            draw(PACK / "docs")
            for path in (path for path in written if path.parent.name == "example_workflows"):
                run = path.stem in SHOWN
                picture = thumbnail(client, path.stem, json.loads(written[path]), info) if run else card(path.stem)
                picture.save(path.with_suffix(".jpg"), quality=88)
    for path in written:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
