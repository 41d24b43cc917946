"""The page in Airflow's frame, as a single file, on a phone, for people who hear it, and when something is wrong."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from energy_dashboard import build
from tests.browser.conftest import Reader, Readers, Site
from tests.browser.test_charts import CHARTS

#: Bytes that the page may weigh, compressed.
HEAVIEST: Final = 2_000_000


def findings(reader: Reader) -> list[str]:
    """What axe finds, of whatever weight."""
    found = Axe().run(reader.page)
    assert len(found.response["passes"]) > 15
    violations: list[dict[str, Any]] = found.response["violations"]
    return [
        f"{violation['impact']} {violation['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for violation in violations
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(readers: Readers, site: Site, theme: str) -> None:
    site.sample = True
    reader = readers(color_scheme=theme)
    reader.open("2026-03-08_2026-03-19")
    for chart in CHARTS:
        reader.table(chart)
    reader.page.locator("#methods > summary").click()
    reader.page.locator("#mix").get_by_role("button", name="Coal").click()
    assert findings(reader) == []


def test_axe_finds_nothing_on_a_phone_nor_where_there_is_an_error(readers: Readers, site: Site) -> None:
    reader = readers(width=375, height=800)
    reader.open("2030")
    assert findings(reader) == []
    site.marts.silent = True
    reader.open("2026-02")
    expect(reader.page.locator("[data-banner=bad]")).to_be_visible()
    assert findings(reader) == []
    reader.complaints = [text for text in reader.complaints if "503" not in text]


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_a_small_screen(readers: Readers, site: Site, width: int) -> None:
    site.sample = True
    reader = readers(width=width, height=800)
    reader.open(lang="fr")
    assert reader.page.evaluate("document.documentElement.scrollWidth") == width
    for chart in CHARTS:
        plot = reader.page.locator(f"#{chart} .plot svg").bounding_box()
        card = reader.page.locator(f"#{chart}").bounding_box()
        assert plot
        assert card
        assert card["x"] <= plot["x"]
        assert plot["x"] + plot["width"] <= card["x"] + card["width"] <= width
    if width == 390:
        reader.picture("phone")


def test_charts_follow_the_width_of_the_window(reader: Reader) -> None:
    reader.open()
    svg = reader.page.locator("#mix .plot svg")
    wide = float(svg.get_attribute("width") or 0)
    reader.page.set_viewport_size({"width": 700, "height": 900})
    expect(svg).not_to_have_attribute("width", str(int(wide)))
    assert 500 < float(svg.get_attribute("width") or 0) < 700


def test_in_airflow_it_follows_the_theme_keeps_the_address_and_downloads(readers: Readers, site: Site) -> None:
    reader = readers(color_scheme="light")
    frame = reader.open_in_airflow("?period=2026-02&lang=en&run_id=other")
    expect(frame.locator("#span")).to_have_text("February 2026")
    page = reader.page
    # The theme, at once.
    assert frame.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("document.documentElement.className = 'dark'")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    reader.drawn(frame)
    # The address that people see and share; what is not the dashboard's stays in it.
    frame.get_by_label("Month", exact=True).select_option(label="January")
    expect(frame.locator("#span")).to_have_text("January 2026")
    assert urlsplit(page.url).query.split("&") == ["run_id=other", "period=2026-01", "lang=en"]
    reader.drawn(frame)
    # What its sandbox does not allow.
    with page.expect_download() as waiting:
        frame.locator("#mix").get_by_role("button", name="Download the picture").click()
    assert waiting.value.suggested_filename == "mix-2026-01-01-2026-01-31.png"
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as waiting:
        frame.get_by_role("button", name="Download as CSV").click()
    assert Path(waiting.value.path()).read_bytes().startswith(b"\xef\xbb\xbfday,")
    with page.context.expect_page() as opening:
        frame.get_by_role("link", name="Open in a tab").click()
    own = opening.value
    own.wait_for_selector('main#content[aria-busy="false"]')
    assert urlsplit(own.url).path == "/energy-dashboard/"
    expect(own.locator("#span")).to_have_text("January 2026")
    expect(own.locator("#own-tab")).to_be_hidden()


def test_in_airflow_it_is_dark_from_the_beginning(readers: Readers, site: Site) -> None:
    site.theme = "dark"
    frame = readers(color_scheme="light").open_in_airflow()
    assert frame.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_single_file_shows_the_same_without_a_server(
    readers: Readers, site: Site, single_file: Callable[[str], str]
) -> None:
    site.sample = True
    address = single_file("2026-03")
    reader = readers(offline=True, locale="en-GB")
    reader.page.goto(address)
    reader.drawn()
    online = readers()
    online.open()
    for chart in CHARTS:
        expect(reader.page.locator(f"#{chart} .plot svg")).to_have_count(1)
        assert reader.table(chart) == online.table(chart)
    for part in (".tiles", ".answers", "#rows", "#banners", ".freshness"):
        assert reader.page.locator(part).inner_text() == online.page.locator(part).inner_text()
    # Only its period is there: no picker, and a way to everything else.
    expect(reader.page.locator("#picker")).to_be_hidden()
    expect(reader.page.locator("#span")).to_have_text("March 2026")
    with reader.page.expect_download() as waiting:
        reader.page.locator("#totals").get_by_role("button", name="Download the picture").click()
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")
    reader.page.get_by_role("button", name="Français").click()
    reader.drawn()
    expect(reader.page.locator("h1")).to_have_text("Énergie en France")
    reader.page.emulate_media(color_scheme="dark")
    expect(reader.page.locator("html")).to_have_attribute("data-theme", "dark")
    # Its policy lets it ask nobody, and what looks like the end of a script in its data is text.
    assert reader.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'asked', () => 'refused')") == "refused"
    reader.complaints = [text for text in reader.complaints if "127.0.0.1:9" not in text]
    assert reader.page.evaluate("window.broken") is None
    assert len(gzip.compress(Path(unquote(urlsplit(address).path)).read_bytes(), 6)) < HEAVIEST


def test_the_single_file_works_in_a_viewer_that_gives_it_no_address(
    readers: Readers, site: Site, tmp_path: Path
) -> None:
    file = html.escape(build.single_file(site.body("2026-02")))
    viewer = tmp_path / "viewer.html"
    viewer.write_text(
        f'<title>Viewer</title><iframe sandbox="allow-scripts" srcdoc="{file}" width="900" height="600"></iframe>'
    )
    reader = readers(offline=True)
    # As the standard has it for such a page; Chromium lets it pass.
    refuse = "if (window !== top) history.replaceState = () => { throw new DOMException('no', 'SecurityError'); }"
    reader.page.add_init_script(refuse)
    reader.page.goto(viewer.as_uri())
    frame = reader.page.frames[1]
    reader.drawn(frame)
    expect(frame.locator("figure .plot svg")).to_have_count(len(CHARTS))
    frame.get_by_role("button", name="Français").click()
    expect(frame.locator("h1")).to_have_text("Énergie en France")


def test_the_page_weighs_less_than_it_may(reader: Reader) -> None:
    weights: dict[str, int] = {}
    reader.page.on(
        "requestfinished", lambda request: weights.update({request.url: request.sizes()["responseBodySize"]})
    )
    reader.open("last-365")
    reader.page.wait_for_timeout(200)
    names = [urlsplit(url).path.rpartition("/")[2] for url in weights]
    unversioned = sorted(re.sub(r"-.*(?=\.\w+$)", "", name) for name in names)
    assert unversioned == ["", "app.js", "charts.js", "data", "style.css"]
    assert sum(weights.values()) < HEAVIEST
    assert max(weights.values()) > 100_000  # the charts' library was counted


def test_sample_and_late_data_are_said_to_be_so(reader: Reader, site: Site) -> None:
    reader.open("2026-02")
    expect(reader.page.locator(".banner")).to_have_count(0)
    expect(reader.page.locator("#foot")).not_to_contain_text("SAMPLE")
    site.reset()
    site.sample = True
    site.marts.loaded_at = {"stock-quotidien-stockages-gaz": datetime.now(UTC) - timedelta(days=40)}
    last, now = datetime(2026, 3, 20, 10, 5, tzinfo=UTC), datetime.now(UTC)
    never = "temperature-quotidienne-regionale"
    site.marts.due = pa.Table.from_pylist(
        [
            {"name": "eco2mix_hourly", "succeeded_at": last, "expected_by": now + timedelta(hours=2)},
            {"name": "gas_storage_daily", "succeeded_at": last, "expected_by": now - timedelta(seconds=1)},
            {"name": never, "succeeded_at": None, "expected_by": now - timedelta(hours=1)},
        ],
        site.marts.due.schema,
    )
    reader.open("2026-02")
    expect(reader.page.locator("[data-banner=overdue]")).to_have_text(
        "Late runs: gas_storage_daily (last success 20 Mar 2026, 11:05), temperature-quotidienne-regionale (never "
        "loaded). Look at them in Airflow."
    )
    expect(reader.page.locator("[data-banner=sample]")).to_contain_text("Sample data")
    expect(reader.page.locator("[data-banner=late]")).to_contain_text("Gas storage (until 15 Mar 2026)")
    expect(reader.page.locator('[data-dataset="stock-quotidien-stockages-gaz"]')).to_contain_text("(late)")
    expect(reader.page.locator('[data-dataset="eco2mix-national-tr"]')).not_to_contain_text("(late)")
    expect(reader.page.locator("#foot")).to_contain_text("SAMPLE DATA")
    reader.picture("banners")


def test_a_partial_period_says_what_it_lacks(reader: Reader) -> None:
    reader.open()
    banner = reader.page.locator("[data-banner=partial]")
    expect(banner).to_contain_text("electricity complete on 18 of 31 days")
    expect(banner).to_contain_text("gas on 14 of 31 days, temperature on 14 of 31 days")


def test_a_period_without_data_shows_dashes_and_no_zero(reader: Reader, site: Site) -> None:
    reader.open("2030-01")
    expect(reader.page.locator("[data-banner=bad]")).to_have_text(
        "There are no data for this period. Data go from 1 Jan 2022 to 20 Mar 2026."
    )
    assert set(reader.page.locator(".tile .value").all_inner_texts()) == {"–"}
    for chart in ("mix", "totals", "gas", "borders", "destinations", "categories", "scatter"):
        expect(reader.page.locator(f"#{chart} .plot svg")).to_have_count(0)
        expect(reader.page.locator(f"#{chart} .nothing")).to_be_visible()
    cells = reader.page.locator("#rows tbody td").all_inner_texts()
    assert set(cells) == {"–", "no"}
    site.reset()
    site.marts.empty = True
    reader.open("2026-02")
    expect(reader.page.locator("[data-banner=bad]")).to_contain_text("The warehouse has no data yet")


def test_a_silent_warehouse_is_said_and_asked_again(reader: Reader, site: Site) -> None:
    site.marts.silent = True
    reader.open("2026-02")
    banner = reader.page.locator("[data-banner=bad]")
    expect(banner).to_contain_text("The data warehouse does not answer.")
    expect(reader.page.locator("main")).to_have_text("")
    reader.page.get_by_role("button", name="Français").click()
    expect(banner).to_contain_text("L’entrepôt de données ne répond pas.")
    site.reset()
    reader.page.get_by_role("button", name="Réessayer").click()
    reader.drawn()
    expect(reader.page.locator("#mix .plot svg")).to_have_count(1)
    expect(banner).to_have_count(0)
    reader.complaints = [text for text in reader.complaints if "503" not in text]


@pytest.mark.parametrize(
    ("spoil", "said", "status"),
    [
        (lambda site: setattr(site.marts, "absent", True), "There are no data yet.", 503),
        (lambda site: setattr(site, "logged_in", False), "your session has ended, log in again.", 401),
    ],
)
def test_other_refusals_are_told_in_words(
    reader: Reader, site: Site, spoil: Callable[[Site], None], said: str, status: int
) -> None:
    reader.open("2026-02")
    site.reset()
    spoil(site)
    reader.page.get_by_role("button", name="Earlier period").click()
    expect(reader.page.locator("[data-banner=bad]")).to_contain_text(said)
    expect(reader.page.locator("#mix")).to_have_count(0)
    reader.complaints = [text for text in reader.complaints if str(status) not in text]


def test_a_text_that_is_no_period_is_refused_in_words(reader: Reader) -> None:
    reader.open("%3Cscript%3E")
    expect(reader.page.locator("[data-banner=bad]")).to_contain_text("This is not a period.")
    reader.page.locator("#picker select").first.select_option("last-7")
    reader.drawn()
    expect(reader.page.locator("#mix .plot svg")).to_have_count(1)
    reader.complaints = [text for text in reader.complaints if "400" not in text]
    assert reader.complaints == []


def test_a_server_that_is_gone_is_told_in_words(reader: Reader) -> None:
    reader.open("2026-02")
    reader.page.route("**/data?*", lambda route: route.abort())
    reader.page.get_by_role("button", name="Earlier period").click()
    expect(reader.page.locator("[data-banner=bad]")).to_contain_text("the server does not answer.")
    reader.complaints = [text for text in reader.complaints if "ERR_FAILED" not in text]


def test_data_of_another_shape_are_not_shown(reader: Reader) -> None:
    reader.open("2026-02")
    reader.page.route("**/data?*", lambda route: route.fulfill(json={"version": 2}))
    reader.page.get_by_role("button", name="Earlier period").click()
    expect(reader.page.locator("[data-banner=bad]")).to_contain_text("this page is older than the data, reload it.")


def test_data_that_the_page_cannot_show_are_told_in_words(reader: Reader) -> None:
    reader.open("2026-02")
    reader.page.route("**/data?*", lambda route: route.fulfill(json={"version": 1}))
    reader.page.get_by_role("button", name="Earlier period").click()
    expect(reader.page.locator("[data-banner=bad]")).to_contain_text("the page could not show them.")
    expect(reader.page.locator("main")).to_have_attribute("aria-busy", "false")
    assert len(reader.complaints) == 1  # the cause, for who looks for it
    reader.complaints.clear()


def test_while_data_are_awaited_it_says_so(reader: Reader, site: Site) -> None:
    held = []
    reader.page.route("**/data?*", lambda route: held.append(route))
    reader.page.goto(f"{site.url}/energy-dashboard/?lang=en")
    expect(reader.page.locator("main")).to_have_text("Loading…")
    expect(reader.page.locator("main")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    reader.drawn()
    expect(reader.page.locator("#mix .plot svg")).to_have_count(1)


def test_pictures_of_the_page(readers: Readers, site: Site) -> None:
    """Kept to be looked at."""
    for name, options in {"light": {}, "french": {"lang": "fr"}}.items():
        reader = readers()
        reader.open("last-365", **options)
        reader.picture(name)
