"""Each control does what it says, with a mouse or without, and what is chosen stands in the address."""

from __future__ import annotations

import base64
import csv
import io
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Download, expect

from tests.browser.conftest import Reader, Readers, Site
from tests.browser.marts import INCOMPLETE
from tests.browser.test_charts import CHARTS, DAYS, marts


def asked(reader: Reader) -> str:
    """The period of the last request for data, which the address has too."""
    last = next(url for url in reversed(reader.requests) if "/data" in url)
    (period,) = parse_qs(urlsplit(last).query)["period"]
    assert parse_qs(urlsplit(reader.page.url).query)["period"] == [period]
    return period


def hold(reader: Reader) -> None:
    """Answer no request for data any more: what is asked for is seen without all being drawn again."""
    reader.page.route("**/data?*", lambda route: None)


def test_each_kind_of_period_is_chosen_and_kept_in_the_address(reader: Reader) -> None:
    reader.open(None)
    picker, span = reader.page.locator("#picker"), reader.page.locator("#span")
    kind = picker.get_by_label("Period", exact=True)
    assert asked(reader) == "last-30"
    expect(kind).to_have_value("last-30")
    expect(span).to_have_text("19 Feb 2026 – 20 Mar 2026")
    for choice, period, text in (
        ("Last 7 days", "last-7", "14 Mar 2026 – 20 Mar 2026"),
        ("Last 365 days", "last-365", "21 Mar 2025 – 20 Mar 2026"),
        ("Day", "2026-03-20", "Friday, 20 March 2026"),
        ("Month", "2026-03", "March 2026"),
        ("Year", "2026", "1 Jan 2026 – 31 Dec 2026"),
        ("Season", "2027-winter", "Winter 2027 · 1 Dec 2026 – 28 Feb 2027"),
        ("Free range", "2027-01-30_2027-02-28", "30 Jan 2027 – 28 Feb 2027"),
    ):
        kind.select_option(label=choice)
        expect(span).to_have_text(re.compile(re.escape(text).replace(r",", ",?")))
        reader.drawn()
        assert asked(reader) == period
    # What was shared is what is seen.
    reader.page.reload()
    reader.drawn()
    expect(kind).to_have_value("range")
    expect(picker.get_by_label("From")).to_have_value("2027-01-30")
    for name, day in {"From": "2026-01-10", "to": "2026-02-10"}.items():
        picker.get_by_label(name, exact=True).fill(day)
        reader.drawn()
    assert asked(reader) == "2026-01-10_2026-02-10"
    picker.get_by_label("to", exact=True).fill("2025-12-31")
    expect(picker.get_by_role("alert")).to_have_text("The end comes before the start.")
    assert asked(reader) == "2026-01-10_2026-02-10"


@pytest.mark.parametrize(
    ("period", "choices", "expected"),
    [
        ("2026-03", {"Month": "January"}, "2026-01"),
        ("2026-03", {"Year": "2024"}, "2024-03"),
        ("2026", {"Year": "2023"}, "2023"),
        ("2026-winter", {"Season": "Summer", "Year": "2025"}, "2025-summer"),
    ],
)
def test_parts_of_a_period_are_chosen(reader: Reader, period: str, choices: dict[str, str], expected: str) -> None:
    reader.open(period)
    hold(reader)
    for name, choice in choices.items():
        with reader.page.expect_request("**/data?*"):
            reader.page.locator("#picker").get_by_label(name, exact=True).select_option(label=choice)
    assert asked(reader) == expected


def test_a_day_is_chosen(reader: Reader) -> None:
    reader.open("2026-03-02")
    reader.page.locator("#picker").get_by_label("Day", exact=True).fill("2025-07-14")
    expect(reader.page.locator("#span")).to_contain_text("14 July 2025")
    assert asked(reader) == "2025-07-14"


@pytest.mark.parametrize(
    ("period", "earlier", "later"),
    [
        ("2026-03-01", "2026-02-28", "2026-03-02"),
        ("2026-01", "2025-12", "2026-02"),
        ("2025", "2024", "2026"),
        ("2026-winter", "2025-autumn", "2026-spring"),
        ("2026-01-01_2026-01-10", "2025-12-22_2025-12-31", "2026-01-11_2026-01-20"),
        ("last-7", "2026-03-07_2026-03-13", "2026-03-21_2026-03-27"),
    ],
)
def test_arrows_go_to_the_periods_beside(reader: Reader, period: str, earlier: str, later: str) -> None:
    reader.open(period)
    hold(reader)
    for name, expected in {"Earlier period": earlier, "Later period": later}.items():
        with reader.page.expect_request("**/data?*"):
            reader.page.get_by_role("button", name=name).click()
        assert asked(reader) == expected
        # The keyboard stays where it was.
        expect(reader.page.get_by_role("button", name=name)).to_be_focused()


def test_of_two_periods_the_one_that_was_chosen_last_is_shown(reader: Reader, site: Site) -> None:
    reader.open("2026-03")
    held = []
    reader.page.route("**/data?period=last-7", lambda route: held.append(route))
    kind = reader.page.locator("#picker").get_by_label("Period", exact=True)
    kind.select_option("last-7")
    expect(reader.page.locator("main")).to_have_attribute("aria-busy", "true")
    kind.select_option("last-365")
    reader.drawn()
    held[0].continue_()
    reader.page.wait_for_timeout(300)
    expect(reader.page.locator("#span")).to_have_text("21 Mar 2025 – 20 Mar 2026")


def test_sources_are_switched_and_shown_as_shares(reader: Reader) -> None:
    reader.open()
    mix = reader.page.locator("#mix")
    there = len([day for day in DAYS if marts(day)["nuclear_mwh"]])
    bars = mix.locator(".mark-rect.role-mark").first.locator("path")
    expect(bars).to_have_count(8 * there)
    mix.get_by_role("button", name="Nuclear").click()
    expect(bars).to_have_count(7 * there)
    expect(mix.get_by_role("button", name="Nuclear")).to_have_attribute("aria-pressed", "false")
    mix.get_by_role("button", name="Share in %").click()
    expect(mix.locator(".role-axis-title").first).to_have_text("Share in %")
    assert parse_qs(urlsplit(reader.page.url).query) == {
        "period": ["2026-03"],
        "lang": ["en"],
        "hide": ["nuclear"],
        "shape": ["relative"],
    }
    # A share is of all production, whatever is hidden.
    share = (
        100
        * marts(DAYS[0])["hydro_mwh"]
        / sum(
            marts(DAYS[0])[f"{s}_mwh"] for s in ("nuclear", "hydro", "wind", "solar", "bioenergy", "gas", "coal", "oil")
        )
    )
    assert reader.table("mix")[1][2] == f"{share:.1f}%"
    reader.page.reload()
    reader.drawn()
    expect(bars).to_have_count(7 * there)
    expect(mix.get_by_role("button", name="Share in %")).to_have_attribute("aria-pressed", "true")
    mix.get_by_role("button", name="Nuclear").click()
    expect(bars).to_have_count(8 * there)
    bottom = min(float(y) for y in mix.locator(".role-axis-label text").all_text_contents() if y.isdigit())
    assert bottom == 0


def test_the_language_is_changed_everywhere_and_kept(reader: Reader) -> None:
    reader.open()
    english = reader.page.locator("body").inner_text()
    reader.page.get_by_role("button", name="Français").click()
    reader.drawn()
    expect(reader.page.locator("html")).to_have_attribute("lang", "fr")
    expect(reader.page).to_have_title("Énergie en France")
    expect(reader.page.locator("h1")).to_have_text("Énergie en France")
    expect(reader.page.locator("#span")).to_have_text("mars 2026")
    expect(reader.page.locator("#answer-2")).to_contain_text("answer 2 fr")
    expect(reader.page.locator('[data-tile="co2"] .value')).to_have_text("30,0\u00a0g/kWh")
    ticks = reader.page.locator("#mix .role-axis-label text").all_text_contents()
    assert "1\u202f500" in ticks
    assert any("mars" in tick for tick in ticks)
    french = reader.page.locator("body").inner_text()
    # Nothing was forgotten: what both have in common are names, figures and units.
    common = {line.strip() for line in english.split("\n")} & {line.strip() for line in french.split("\n")}
    words = {
        line
        for line in common
        if re.search(r"[a-z]{4}", line) and not re.match(r"(question|answer|figures|caveat) ", line)
    }
    assert words <= {
        "Français",
        "English",
        "Import",
        "Export",
        "Production",
        "Question",
        "Injection",
        "Six questions",
        "← Export · Import → (GWh)",
    }, words
    assert parse_qs(urlsplit(reader.page.url).query)["lang"] == ["fr"]
    expect(reader.page.get_by_role("button", name="Français")).to_be_focused()


@pytest.mark.parametrize(("locale", "title"), [("fr-FR", "Énergie en France"), ("de-DE", "Energy in France")])
def test_without_a_choice_the_language_is_the_browsers(readers: Readers, locale: str, title: str) -> None:
    reader = readers(locale=locale)
    reader.page.goto(f"{reader.site.url}/energy-dashboard/")
    reader.drawn()
    expect(reader.page.locator("h1")).to_have_text(title)


def test_dark_follows_the_system_in_a_tab_of_its_own(readers: Readers) -> None:
    reader = readers(color_scheme="dark")
    reader.open()
    background = "getComputedStyle(document.body).backgroundColor"
    dark = reader.page.evaluate(background)
    assert reader.page.evaluate("document.documentElement.dataset.theme") == "dark"
    reader.picture("dark")
    reader.page.emulate_media(color_scheme="light")
    expect(reader.page.locator("html")).to_have_attribute("data-theme", "light")
    reader.drawn()
    assert reader.page.evaluate(background) != dark


def content(download: Download) -> bytes:
    path = download.path()
    return Path(path).read_bytes()


#: Draws a PNG and tells its size and which colours it has.
READ_PNG: Final = """async base64 => {
  const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, bitmap.width, bitmap.height).data.buffer);
  const hex = byte => byte.toString(16).padStart(2, "0");
  const colours = [...new Set(pixels)].map(pixel => "#" + [0, 8, 16].map(bits => hex(pixel >> bits & 255)).join(""));
  return { width: bitmap.width, height: bitmap.height, colours };
}"""


def picture_of(reader: Reader, chart: str) -> tuple[str, dict[str, Any]]:
    """Downloads a chart's picture: its name, and what is on it."""
    figure = reader.page.locator(f"#{chart}")
    with reader.page.expect_download() as waiting:
        figure.get_by_role("button", name="Download the picture").click()
    body = content(waiting.value)
    assert body.startswith(b"\x89PNG")
    seen: dict[str, Any] = reader.page.evaluate(READ_PNG, base64.b64encode(body).decode())
    return waiting.value.suggested_filename, seen


def test_every_chart_is_kept_as_a_picture_with_its_title_source_and_date(readers: Readers, site: Site) -> None:
    site.sample = True
    reader = readers(width=800)
    reader.open("2026-02")
    texts = """(() => {
      const { serializeToString } = XMLSerializer.prototype;
      window.drawn = [];
      XMLSerializer.prototype.serializeToString = function (node) {
        window.drawn.push(node.textContent);
        return serializeToString.call(this, node);
      };
    })()"""
    reader.page.evaluate(texts)
    for chart in CHARTS:
        name, seen = picture_of(reader, chart)
        assert name == f"{chart}-2026-02-01-2026-02-28.png"
        plot = reader.page.locator(f"#{chart} .plot svg").bounding_box()
        assert plot
        assert seen["width"] >= 2 * plot["width"]
        assert seen["height"] >= 2 * plot["height"] + 150
        fills = {
            mark["fill"]
            for kind in ("rect", "symbol")
            for mark in reader.marks(chart, kind)
            if mark["width"] > 3 and mark["height"] > 3
        }
        missing = [
            fill
            for fill in fills
            if str(fill).startswith("#") and not any(near(fill, colour) for colour in seen["colours"])
        ]
        assert not missing, (chart, missing)
        drawn = reader.page.evaluate("window.drawn.pop()")
        assert reader.page.locator(f"#{chart} h3").inner_text() in drawn
        for text in ("SAMPLE DATA", "Source: ODRÉ", "Data read on"):
            assert text in drawn.replace("\u00a0", " ")


def near(one: str, other: str, tolerance: int = 6) -> bool:
    """Whether two colours are the same but for what drawing and mixing with the edge changes."""
    return all(abs(int(one[i : i + 2], 16) - int(other[i : i + 2], 16)) <= tolerance for i in (1, 3, 5))


def test_the_table_is_sorted_searched_and_kept_as_csv(reader: Reader, site: Site) -> None:
    reader.open()
    rows = reader.page.locator("#rows tbody tr")
    heads = reader.page.locator("#rows thead")
    expect(rows).to_have_count(31)
    expect(rows.first).to_contain_text("31 Mar 2026")
    expect(heads.locator("th").first).to_have_attribute("aria-sort", "descending")
    # Greatest first after the second click; what is absent is last in both orders.
    for direction, pick in {"ascending": min, "descending": max}.items():
        heads.get_by_role("button", name="Mean temperature").click()
        expect(heads.locator("th[aria-sort]")).to_have_attribute("aria-sort", direction)
        day = pick(
            (d for d in DAYS if marts(d)["temperature_mean_c"] is not None),
            key=lambda d: marts(d)["temperature_mean_c"],
        )
        expect(rows.first).to_contain_text(f"{day.day} Mar 2026")
        expect(rows.last.locator("td").nth(13)).to_have_text("–")
    search = reader.page.get_by_label("Search")
    search.fill("cold")
    cold = [day for day in DAYS if marts(day)["temperature_category"] == "cold"]
    expect(rows).to_have_count(len(cold))
    expect(reader.page.locator("#rows-count")).to_have_text(f"{len(cold)} of 31 days")
    with reader.page.expect_download() as waiting:
        reader.page.get_by_role("button", name="Download as CSV").click()
    assert waiting.value.suggested_filename == "energy-2026-03-01-2026-03-31.csv"
    body = content(waiting.value).decode("utf-8-sig")
    table = list(csv.DictReader(io.StringIO(body)))
    assert {row["day"] for row in table} == {day.isoformat() for day in cold}
    for row in table:
        expected = marts(next(day for day in DAYS if day.isoformat() == row["day"]))
        assert (
            float(row["nuclear_mwh"]) == pytest.approx(expected["nuclear_mwh"], abs=0.01)
            if expected["nuclear_mwh"]
            else row["nuclear_mwh"] == ""
        )
        assert row["electricity_is_complete"] == str(expected["electricity_is_complete"]).lower()
    search.fill(INCOMPLETE.strftime("%-d mar"))
    expect(rows).to_have_count(1)
    search.fill("no such day")
    expect(rows).to_have_count(0)


def test_everything_is_reached_and_used_with_the_keyboard_alone(reader: Reader) -> None:
    reader.open()
    page = reader.page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    reader.open("2026-02")
    reader.open()
    focusable = page.locator(
        ", ".join(f"{each}:visible" for each in ("a[href]", "button", "select", "input", "summary", "[tabindex='0']"))
    )
    wanted = focusable.count()
    reached: list[str] = []
    for _ in range(wanted + 40):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => {
          const at = document.activeElement;
          if (at === document.body) return null;
          window.reached ??= []; window.reached.push(at);
          const style = getComputedStyle(at);
          const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
          return [at.tagName, at.textContent.slice(0, 30), seen];
        }""")
        if here is None:
            break
        assert here[2], f"where the keyboard is cannot be seen: {here}"
        reached.append(here[1])
    missed = focusable.evaluate_all(
        "found => found.filter(each => !window.reached.includes(each)).map(each => each.outerHTML.slice(0, 100))"
    )
    assert missed == []
    # Used: a source switched, a chart's choice, a sorted column, data unfolded.
    page.get_by_role("button", name="Wind", exact=True).focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Wind", exact=True)).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("button", name="Wind", exact=True)).to_be_focused()
    page.get_by_role("button", name="10 groups").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#fullness .mark-rect.role-mark path")).to_have_count(20)
    page.locator("[data-sort=consumption]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#rows th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("[data-sort=consumption]")).to_be_focused()
    page.locator("#gas summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#gas tbody tr")).to_have_count(31)
    page.locator("#picker select").first.focus()
    page.keyboard.press("ArrowUp")  # from a month to a day
    expect(page.locator("#span")).to_contain_text("31 March 2026")
    expect(page.locator("#picker select").first).to_be_focused()
