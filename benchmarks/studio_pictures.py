"""Pictures of the studio for its page in the documentation.

    python benchmarks/studio_pictures.py --out docs/studio -- runs/quickstart

What follows ``--`` are arguments of ``latentedit studio``. The pictures are drawn by a headless
Chromium at three widths, light and dark.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from studio_visit import browser, served, settled, slide, visited

SIZES = {390: 844, 1280: 860, 1920: 1000}
COLOURS = 255
"""Of a picture's palette, which makes its file a third as large."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--face", type=int, default=1)
    parser.add_argument("studio", nargs="+", help="arguments of latentedit studio")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with served(given.studio) as (address, _), browser() as chromium:
        for width, height in SIZES.items():
            for theme in ("light", "dark"):
                context = chromium.new_context(
                    viewport={"width": width, "height": height}, color_scheme=theme
                )
                page = context.new_page()
                visited(page, address)
                page.get_by_role("button", name=f"face {given.face}", exact=True).click()
                settled(page)
                slide(page, "age", 62)
                page.locator("h1").scroll_into_view_if_needed()
                path = given.out / f"studio-{width}-{theme}.png"
                picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
                print(path)
                context.close()


if __name__ == "__main__":
    main()
