"""The dashboard's front end without a browser: how it is put together, its texts and its colours."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from energy_dashboard import build
from energy_dashboard.queries import SOURCES

PAGE: Final = Path(build.__file__).parent / "page"
MODULES: Final = sorted(PAGE.glob("*.js"))
SCRIPTS: Final = "\n".join(path.read_text() for path in MODULES)
TEXTS: Final = (PAGE / "texts.js").read_text()

Array = NDArray[np.float64]


def links(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="\./assets/([^"]+)"', html)


def test_the_page_links_to_assets_that_are_there_and_says_where_its_data_are() -> None:
    html = build.page(".")
    style, charts, script = links(html)
    assert build.asset(style).content == (PAGE / "style.css").read_bytes()
    assert build.asset(script).content_type.startswith("text/javascript")
    assert charts.startswith("charts-")
    assert 'data-url="./data"' in html
    # Nothing in it that its policy would refuse.
    assert not re.search(r"<style|style=|<script>|\son\w+=", html)
    with pytest.raises(KeyError):
        build.asset("app.js")


def test_an_asset_has_another_name_when_its_content_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (before, _, script) = links(build.page("."))
    for path in PAGE.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "style.css").write_text("body { color: red }")
    monkeypatch.setattr(build, "_PAGE", tmp_path)
    build._style.cache_clear()
    try:
        (after, _, same) = links(build.page("."))
    finally:
        build._style.cache_clear()
    assert after != before
    assert same == script


def test_every_module_is_in_the_script_once_after_those_that_it_needs_and_none_is_left() -> None:
    script = build.asset(links(build.page("."))[2]).content.decode()
    heads = {path.name: path.read_text().split("\n", 1)[0] for path in MODULES}
    places = {name: script.index(head) for name, head in heads.items()}
    assert {name: script.count(head) for name, head in heads.items()} == dict.fromkeys(heads, 1)
    for path in MODULES:
        for needed in re.findall(r'from "\./(\w+\.js)"', path.read_text()):
            assert places[needed] < places[path.name], (needed, path.name)
    assert not re.search(r"^(import \{|export )", script, re.MULTILINE)


def test_no_two_modules_declare_one_name() -> None:
    """They are one script in the end."""
    names = re.findall(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", SCRIPTS, re.MULTILINE)
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_the_single_file_holds_its_data_and_allows_its_own_scripts_alone() -> None:
    data = {"text": "</script><script>alert(1)</script> & é", "figure": None}
    html = build.single_file(json.dumps(data, ensure_ascii=False).encode())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    directives = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", html, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert (len(scripts), len(styles)) == (2, 1)
    for directive, texts in {"script-src": scripts, "style-src": styles}.items():
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert directives[directive].split() == [f"'sha256-{hash_}'" for hash_ in hashes]
    assert directives["default-src"] == directives["connect-src"] == "'none'"
    assert "vegaEmbed" in scripts[0]
    embedded = re.search(r'<script type="application/json" id="energy-data">(.*?)</script>', html, re.DOTALL)
    assert embedded
    assert json.loads(embedded[1]) == data


def test_charts_that_cannot_be_made_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_BUNDLE", "raise SystemExit('no such engine')")
    build._charts.cache_clear()
    try:
        with pytest.raises(RuntimeError, match=r"vl-convert-python: no such engine"):
            build.asset(links(build.page("."))[1])
    finally:
        build._charts.cache_clear()


def entries() -> dict[str, tuple[str, str]]:
    """The texts in French and English."""
    string = r'"((?:[^"\\]|\\.)*)"'
    found = re.findall(rf'^  "?([\w-]+)"?: \[\s*{string},\s*{string},?\s*\],$', TEXTS, re.MULTILINE)
    assert len(found) == len(re.findall(r"^  \S+: \[", TEXTS, re.MULTILINE))
    # Of two with one key the script takes the last, wherever either is asked for.
    assert [key for key, count in Counter(key for key, *_ in found).items() if count > 1] == []
    return {key: (french, english) for key, french, english in found}


def test_every_text_that_is_asked_for_is_there_in_both_languages() -> None:
    texts = entries()
    asked = set(re.findall(r'\bt\("(\w+)"', SCRIPTS)) | set(
        re.findall(r'data-(?:text|label)="(\w+)"', (PAGE / "index.html").read_text())
    )
    assert asked - texts.keys() == set()
    for key, (french, english) in texts.items():
        assert french, key
        assert english, key
        values = [set(re.findall(r"\{(\w+)", text)) for text in (french, english)]
        assert values[0] == values[1], key


def test_no_text_is_left_that_nobody_asks_for() -> None:
    others = SCRIPTS.replace(TEXTS, "") + (PAGE / "index.html").read_text()
    # As a text or as a key of an object: a variable of that name asks for nothing.
    asked = {text or key for text, key in re.findall(r'"([\w-]+)"|\b(\w+): ', others)}
    # Of the data: datasets, columns of the marts, kinds of campaigns; and methods by number.
    data = re.compile(
        r"eco2mix-|stock-|temperature-|gas_|commercial_|physical_|injection|withdrawal|(method|methodTitle|linksOf)\d"
    )
    assert {key for key in entries() if key not in asked and not data.match(key)} == set()


# Colours.


def colours() -> dict[str, str]:
    """Every named colour of the charts that is no part of a theme."""
    text = (PAGE / "colours.js").read_text()
    found = dict(re.findall(r'^  (\w+): "(#[0-9a-f]{6})",$', text, re.MULTILINE))
    assert set(SOURCES) <= set(found)
    return found


def themes() -> dict[str, dict[str, str]]:
    lines = re.findall(r"^  (light|dark): \{(.*)\},$", (PAGE / "colours.js").read_text(), re.MULTILINE)
    return {name: dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', line)) for name, line in lines}


def linear(colour: str) -> Array:
    """A colour's light, red, green and blue, 0 to 1."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast of two colours by WCAG, 1 to 21."""
    lights = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05 for colour in (one, other))
    return lights[1] / lights[0]


#: What is left of a colour with none of one kind of cone (Machado, Oliveira and Fernandes, 2009).
VISION: Final = {
    "all cones": np.eye(3),
    "no long": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no middle": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no short": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def oklab(light: Array) -> Array:
    """A colour in Oklab (Ottosson, 2020), in which distances are alike to the eye."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    axes = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(axes @ np.cbrt(cones @ np.clip(light, 0, 1)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marks_and_texts_stand_out_from_the_background(theme: str) -> None:
    shades = themes()[theme]
    for name, colour in colours().items():
        assert contrast(colour, shades["surface"]) >= 3, name
    for name in ("ink", "muted"):
        assert contrast(shades[name], shades["surface"]) >= 4.5, name


@pytest.mark.parametrize("vision", VISION)
def test_sources_are_told_apart_with_any_kind_of_colour_blindness(vision: str) -> None:
    seen = {source: oklab(VISION[vision] @ linear(colours()[source])) for source in SOURCES}
    distances = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(SOURCES, 2)}
    # What the eye just tells apart is about 0.02.
    assert min(distances.values()) > 0.06, min(distances, key=lambda pair: distances[pair])


def test_the_style_has_the_colours_of_the_charts() -> None:
    style = (PAGE / "style.css").read_text()
    blocks = {"light": style.split("}")[0], "dark": style.split("}")[1]}
    for theme, shades in themes().items():
        for name in ("surface", "ink", "muted", "hatch"):
            assert f"--{name}: {shades[name]};" in blocks[theme], (theme, name)
