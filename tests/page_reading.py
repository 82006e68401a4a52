"""Reads pages back: elements, tables with their numbers, the data in drawn curves, and pictures."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VOID = ("meta", "img", "br", "link", "input")


@dataclass
class Element:
    """One element of a page with what it holds."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Every element inside with this tag and these attributes; ``_`` in a name is ``-``."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            element
            for element in self.walk()
            if element is not self
            and element.tag == tag
            and all(element.attributes.get(key) == value for key, value in wanted.items())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All text, with single spaces."""
        parts = [c if isinstance(c, str) else c.text for c in self.children]
        return " ".join(" ".join(parts).split())

    @property
    def own(self) -> str:
        """The text that stands in the element itself, not in one inside it."""
        return " ".join(" ".join(c for c in self.children if isinstance(c, str)).split())

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def small(self) -> str:
        return " ".join(element.text for element in self.all("small"))


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("page")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(text: str) -> Element:
    builder = _Builder()
    builder.feed(text)
    builder.close()
    assert builder.open == [builder.root]
    return builder.root


def after_heading(page: Element, heading: str) -> list[Element]:
    """What stands between a heading of level 2 and the next one."""
    main = page.one("main")
    elements = [child for child in main.children if isinstance(child, Element)]
    (start,) = [i for i, e in enumerate(elements) if e.tag == "h2" and e.text == heading]
    following = elements[start + 1 :]
    end = next((i for i, e in enumerate(following) if e.tag == "h2"), len(following))
    return following[:end]


def section(page: Element, heading: str) -> Element:
    """The same as one element."""
    return Element("section", {}, list(after_heading(page, heading)))


def headings(table: Element) -> list[str]:
    return [head.text for head in table.one("thead").all("th")]


def rows(table: Element) -> list[list[Element]]:
    return [
        [c for c in row.children if isinstance(c, Element)] for row in table.one("tbody").all("tr")
    ]


def picture(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


Points = NDArray[np.float64]


@dataclass
class Drawing:
    """The data in an SVG figure, in the units of its axes."""

    svg: Element

    def texts(self) -> list[str]:
        return [text.text for text in self.svg.all("text")]

    def _ticks(self, axis: str) -> list[tuple[float, str]]:
        """Place and label of every tick."""
        found = []
        for group in self.svg.all("g"):
            if re.fullmatch(rf"{axis}tick_\d+", group.attributes.get("id", "")):
                mark = group.all("use")[-1]
                label = group.all("text")[-1].text.replace("\N{MINUS SIGN}", "-")
                found.append((float(mark.attributes[axis]), label))
        return found

    def places(self, names: Iterable[str]) -> dict[str, float]:
        """How far down in the picture each of these texts stands."""
        found = {}
        for text in self.svg.all("text"):
            if text.text in names:
                where = text.attributes.get("transform", "")
                moved = re.search(r"translate\([-\d.]+ ([-\d.]+)\)", where)
                found[text.text] = float(moved[1] if moved else text.attributes["y"])
        return found

    def labels(self, axis: str) -> list[str]:
        return [label for _, label in self._ticks(axis)]

    def _to_data(self, axis: str, places: Points, named: bool) -> Points:
        ticks = self._ticks(axis)
        at = np.array([place for place, _ in ticks])
        values = range(len(ticks)) if named else [float(label) for _, label in ticks]
        slope, offset = np.polyfit(at, np.array(values, dtype=float), 1)
        return np.asarray(slope * places + offset)

    def points(self, path: str, named_y: bool = False, down: float = 0.0) -> Points:
        """(P, 2) the corners of a path; with `named_y` y counts the labels of its axis."""
        numbers = np.array(re.findall(r"[ML]\s*(-?[\d.]+)\s+(-?[\d.]+)", path), dtype=float)
        x = self._to_data("x", numbers[:, 0], named=False)
        y = self._to_data("y", numbers[:, 1] + down, named=named_y)
        return np.stack([x, y], 1)

    def lines(self, colour: str, dotted: bool = False) -> list[str]:
        """The paths of this colour that are data: the full ones, or the dotted ones."""
        return [path.attributes["d"] for path in self._drawn(colour, dotted)]

    def widths(self, colour: str) -> list[float]:
        """How wide the full lines of this colour are."""
        styles = [path.attributes["style"] for path in self._drawn(colour, False)]
        found = [re.search(r"stroke-width: ([\d.]+)", style) for style in styles]
        return [float(width[1]) if width else 1.0 for width in found]

    def _drawn(self, colour: str, dotted: bool) -> list[Element]:
        found = []
        for group in self.svg.all("g"):
            if re.fullmatch(r"line2d_\d+", group.attributes.get("id", "")):
                for path in group.all("path"):
                    style = path.attributes.get("style", "").lower()
                    mine = f"stroke: {colour.lower()}" in style and "fill: none" in style
                    if mine and ("stroke-dasharray" in style) == dotted:
                        found.append(path)
        return found

    def bands(self, colour: str) -> list[Points]:
        """(P, 2) the outlines of the areas of this colour."""
        shapes, found = self._shapes(), []
        for group in self.svg.all("g"):
            if group.attributes.get("id", "").startswith("FillBetweenPolyCollection"):
                for use in group.all("use"):
                    if colour.lower() in use.attributes["style"].lower():
                        path = shapes[use.attributes["xlink:href"]]
                        found.append(self.points(path, down=float(use.attributes["y"])))
        return found

    def dots(self) -> list[tuple[float, float, str]]:
        """x, y counted in labels, and fill of every round mark."""
        shapes, found = self._shapes(), []
        for group in self.svg.all("g"):
            if re.fullmatch(r"line2d_\d+", group.attributes.get("id", "")):
                for use in group.all("use"):
                    if "C" in shapes[use.attributes["xlink:href"]]:
                        x, y = (np.array([float(use.attributes[axis])]) for axis in "xy")
                        fill = re.search(r"fill: (#\w+)", use.attributes["style"])
                        at = float(self._to_data("x", x, False)[0])
                        row = float(self._to_data("y", y, True)[0])
                        found.append((at, row, fill[1].lower() if fill else ""))
        return found

    def _shapes(self) -> dict[str, str]:
        return {
            f"#{path.attributes['id']}": path.attributes["d"]
            for path in self.svg.all("path")
            if "id" in path.attributes
        }
