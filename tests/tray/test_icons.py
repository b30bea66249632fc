"""Our icons are drawings and nothing else, and a glance tells the five signs apart."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

from postroad_tray.icon_files import THEME, icon_path
from postroad_tray.state import APPLICATION, Sign, icon_name

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {SVG + name for name in ("svg", "title", "rect", "path")}
ATTRIBUTES = {
    "width", "height", "viewBox", "x", "y", "rx", "d", "fill", "fill-rule", "stroke",
    "stroke-width", "stroke-linejoin",
}  # fmt: skip
FILES = sorted(THEME.rglob("*.svg"))
NAMES = [
    APPLICATION,
    f"{APPLICATION}-symbolic",
    *(icon_name(sign, symbolic=symbolic) for sign in Sign for symbolic in (False, True)),
]
# Of index.theme of hicolor-icon-theme 0.17 and 0.18; in any other folder nobody looks for icons.
KNOWN = {"scalable/apps", "scalable/status", "symbolic/apps"}
SIDE = 16  # of the smallest panel
UNLIKE = SIDE * SIDE // 8  # pixels


def test_each_lies_in_a_folder_that_the_theme_knows() -> None:
    assert {str(file.parent.relative_to(THEME)) for file in FILES} == KNOWN


def test_there_is_a_file_for_each_name_and_none_for_anything_else() -> None:
    assert sorted(icon_path(name) for name in NAMES) == FILES


@pytest.mark.parametrize("file", FILES, ids=lambda one: one.stem)
def test_an_icon_is_a_drawing_that_runs_and_fetches_nothing(file: Path) -> None:
    text = file.read_text(encoding="ascii")
    assert "<!" not in text  # no entities, no comments
    drawing = ET.fromstring(text)
    assert drawing.tag == SVG + "svg"
    for part in drawing.iter():
        assert part.tag in DRAWN
        assert set(part.attrib) <= ATTRIBUTES
    assert "url(" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert drawing.findtext(SVG + "title")


@pytest.mark.parametrize("file", FILES, ids=lambda one: one.stem)
def test_a_symbolic_icon_takes_the_colour_of_its_panel_and_others_bring_theirs(file: Path) -> None:
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', file.read_text())) - {"none"}
    if file.stem.endswith("-symbolic"):
        assert colours == {"currentColor"}
    else:
        assert all(re.fullmatch(r"#[0-9a-f]{6}", one) for one in colours)


def covered(file: Path) -> list[bool]:
    """Which pixels it covers, whatever their colour."""
    picture = QImage(SIDE, SIDE, QImage.Format.Format_ARGB32_Premultiplied)
    picture.fill(0)
    renderer = QSvgRenderer(QByteArray(file.read_bytes()))
    assert renderer.isValid()
    painter = QPainter(picture)
    renderer.render(painter)
    painter.end()
    points = itertools.product(range(SIDE), range(SIDE))
    return [picture.pixelColor(x, y).alphaF() > 0.5 for y, x in points]


@pytest.mark.parametrize("symbolic", [False, True])
def test_the_five_signs_differ_in_shape_on_the_smallest_panel(
    qt: QGuiApplication, symbolic: bool
) -> None:
    shapes = {sign: covered(icon_path(icon_name(sign, symbolic=symbolic))) for sign in Sign}
    for (one, shape), (two, other) in itertools.combinations(shapes.items(), 2):
        apart = sum(a != b for a, b in zip(shape, other, strict=True))
        assert apart >= UNLIKE, f"{one} and {two} differ in {apart} pixels"


def test_the_icon_of_the_program_fills_its_place(qt: QGuiApplication) -> None:
    assert sum(covered(icon_path(APPLICATION))) > SIDE * SIDE * 0.7
