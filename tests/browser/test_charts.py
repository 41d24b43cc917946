"""Every chart shows the figures that the marts have, and nothing where they have none."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from energy_dashboard import build
from energy_dashboard.payload import BORDERS
from energy_dashboard.queries import SOURCES
from tests.browser.conftest import Reader, Site
from tests.browser.marts import (
    ABSENT,
    FULLNESS,
    INCOMPLETE,
    LAST_GAS,
    LAST_TEMPERATURE,
    RELATIONSHIPS,
    SEASONS,
    WITHOUT_WIND,
    climate,
    consumption,
    power,
)

_COLOURS: Final = dict(
    re.findall(r'(\w+): "(#\w{6})"', (Path(build.__file__).parent / "page" / "colours.js").read_text())
)
CHARTS: Final = (
    "mix",
    "totals",
    "seasons",
    "gas",
    "borders",
    "destinations",
    "fullness",
    "categories",
    "scatter",
    "links",
)

#: The days of the period that most tests show.
DAYS: Final = [date(2026, 3, 1) + timedelta(days=n) for n in range(31)]


def number(text: str) -> float | None:
    """A figure as the English page writes it; none for a dash."""
    found = re.match(r"[+−-]?[\d,.]+", text.replace("\u00a0", " "))
    return float(found[0].replace(",", "").replace("−", "-")) if found else None


def column(table: list[list[str]], name: str) -> dict[str, float | None]:
    """A column of a chart's table, by the first cell of its rows."""
    place = table[0].index(name)
    return {row[0]: number(row[place]) for row in table[1:]}


def marts(day: date) -> dict[str, Any]:
    """A day as the marts have it; nothing after the last."""
    return climate(day) if day <= date(2026, 3, 20) else dict.fromkeys(climate(ABSENT))


def total(name: str, days: list[date] = DAYS) -> float:
    """Sum of a column over the days that have it."""
    return float(sum(marts(day)[name] or 0 for day in days))


def test_each_chart_is_drawn_with_a_title_a_text_alternative_and_its_data(reader: Reader) -> None:
    reader.open("2026-02")
    for chart in CHARTS:
        figure = reader.page.locator(f"#{chart}")
        plot = figure.locator(".plot")
        expect(plot.locator("svg")).to_have_count(1)
        title = figure.locator("h3").inner_text()
        summary = figure.locator(".summary").inner_text()
        assert plot.get_attribute("role") == "img"
        assert plot.get_attribute("aria-label") == f"{title}. {summary}"
        assert re.search(r"\d", summary), chart
        header, *rows = reader.table(chart)
        assert rows
        assert {len(row) for row in rows} == {len(header)}
        for text in plot.locator("svg text").all_text_contents():
            assert not re.search(r"NaN|undefined|null|\de[+-]", text), (chart, text)


def test_the_mix_stacks_what_each_source_produced_on_each_day(reader: Reader) -> None:
    reader.open()
    bars = [mark for mark in reader.marks("mix", "rect") if mark["fill"] in _COLOURS.values()]
    by_source = {
        source: sorted((bar for bar in bars if bar["fill"] == _COLOURS[source]), key=lambda bar: bar["x"])
        for source in SOURCES
    }
    there = [day for day in DAYS if marts(day)["nuclear_mwh"] is not None]
    assert {source: len(found) for source, found in by_source.items()} == dict.fromkeys(SOURCES, len(there))
    pixels = by_source["nuclear"][0]["height"] / marts(there[0])["nuclear_mwh"]
    for source, found in by_source.items():
        for day, bar in zip(there, found, strict=True):
            assert bar["height"] == pytest.approx(marts(day)[f"{source}_mwh"] * pixels, abs=0.6), (source, day)
    # One on top of the other, in one order.
    first = [
        by_source[source][0] for source in ("nuclear", "hydro", "wind", "solar", "bioenergy", "gas", "coal", "oil")
    ]
    for below, above in pairwise(first):
        assert above["y"] + above["height"] == pytest.approx(below["y"], abs=0.6)
    table = reader.table("mix")
    for source, name in {"nuclear": "Nuclear", "oil": "Oil"}.items():
        written = list(column(table, name).values())
        assert written == [
            None if marts(day)[f"{source}_mwh"] is None else round(marts(day)[f"{source}_mwh"] / 1000, 0)
            for day in DAYS
        ]


def test_days_without_a_whole_measure_are_hatched_and_absent_ones_have_no_bar(reader: Reader) -> None:
    reader.open()
    hatched = [mark for mark in reader.marks("mix", "rect") if mark["fill"] == "url(#hatch)"]
    expected = [day for day in DAYS if not marts(day)["electricity_is_complete"]]
    assert INCOMPLETE in expected
    assert ABSENT in expected
    assert len(hatched) == len(expected) == 13
    # Something is drawn in it: a pattern that is there.
    assert reader.page.locator("pattern#hatch rect").count() == 1
    rows = {row[0]: row[1:] for row in reader.table("mix")}
    assert set(rows["12 Mar 2026 (no measure)"]) == {"–"}
    assert "–" not in rows["10 Mar 2026 (not fully measured)"]
    expect(reader.page.locator("#mix .legend")).to_contain_text("Not fully measured")


def test_short_periods_are_shown_by_the_hour_of_paris_whatever_the_clocks_do(reader: Reader) -> None:
    reader.open("2025-10-26")
    expect(reader.page.locator("#mix .subtitle")).to_have_text("26 Oct 2025, by hour")
    rows = reader.table("mix")[1:]
    assert len(rows) == 25
    assert [row[0][-5:] for row in rows[:5]] == ["00:00", "01:00", "02:00", "02:00", "03:00"]
    ticks = reader.page.locator("#mix .plot .role-axis-label text").all_text_contents()
    assert "12:00" in ticks
    assert "18:00" in ticks
    reader.open(INCOMPLETE.isoformat())
    hatched = [mark for mark in reader.marks("mix", "rect") if mark["fill"] == "url(#hatch)"]
    assert len(hatched) == 12


def test_where_a_source_is_unknown_there_is_no_production(reader: Reader) -> None:
    """Nor a share of it. An hour without it is incomplete, and a week is of its other days."""
    reader.open(WITHOUT_WIND.isoformat())
    header, *rows = reader.table("mix")
    unknown = [row for row in rows if row[0].endswith("(not fully measured)")]
    assert len(unknown) == 6
    for row in unknown:
        written = dict(zip(header, row, strict=True))
        assert (written["Wind"], written["Production"]) == ("–", "–")
        assert number(written["Nuclear"]) == pytest.approx(power("nuclear", WITHOUT_WIND) / 1000, abs=0.05)
    assert all("–" not in row for row in rows if row not in unknown)
    reader.open("2024-01-01_2025-12-31")
    header, *rows = reader.table("mix")
    (row,) = [row for row in rows if row[0].startswith("10 Jun 2024 – 16 Jun 2024")]
    written = dict(zip(header, row, strict=True))
    assert row[0].endswith("(not fully measured)")
    week = [day for n in range(7) if (day := date(2024, 6, 10) + timedelta(days=n)) != WITHOUT_WIND]
    assert number(written["Nuclear"]) == round(total("nuclear_mwh", week) / 1e6, 2)
    everything = sum(total(f"{source}_mwh", week) for source in SOURCES)
    assert number(written["Production"]) == round(everything / 1e6, 2)


def test_long_periods_are_shown_by_weeks_and_months(reader: Reader) -> None:
    reader.open("2024-01-01_2025-12-31")
    expect(reader.page.locator("#mix .subtitle")).to_contain_text("by week")
    rows = reader.table("mix")[1:]
    assert rows[0][0] == "1 Jan 2024 – 7 Jan 2024"
    week = [date(2024, 1, 1) + timedelta(days=n) for n in range(7)]
    assert number(rows[0][1]) == round(total("nuclear_mwh", week) / 1e6, 2)
    reader.open("2016-04-01_2026-03-31")
    expect(reader.page.locator("#mix .subtitle")).to_contain_text("by month")
    rows = reader.table("mix")[1:]
    assert len(rows) == 120
    # Before there were any data there is nothing, and it is hatched.
    assert set(rows[0][1:]) == {"–"}
    assert rows[0][0] == "April 2016 (no measure)"


def test_totals_are_sums_and_shares_of_them(reader: Reader) -> None:
    reader.open()
    sums = {source: total(f"{source}_mwh") for source in SOURCES}
    everything = sum(sums.values())
    header, *rows = reader.table("totals")
    assert header == ["Source", "Production", "Share in %"]
    assert [row[0] for row in rows][:3] == ["Nuclear", "Hydro", "Wind"]
    for name, energy, share in rows:
        assert number(energy) == pytest.approx(sums[name.lower()] / 1e6, abs=0.006)
        assert number(share) == pytest.approx(100 * sums[name.lower()] / everything, abs=0.051)
    bars = {mark["fill"]: mark["width"] for mark in reader.marks("totals", "rect")}
    for source in ("hydro", "gas"):
        assert bars[_COLOURS[source]] / bars[_COLOURS["nuclear"]] == pytest.approx(
            sums[source] / sums["nuclear"], abs=0.01
        )
    facts = reader.page.locator("#totals .facts dd").all_inner_texts()
    low_carbon = 100 * (everything - sums["gas"] - sums["coal"] - sums["oil"]) / everything
    renewable = low_carbon - 100 * sums["nuclear"] / everything
    assert facts[0].startswith("Nuclear")
    assert number(facts[1]) == pytest.approx(low_carbon, abs=0.051)
    assert number(facts[2]) == pytest.approx(renewable, abs=0.051)


def test_gas_and_temperature_have_an_axis_each_gaps_and_campaigns(reader: Reader) -> None:
    reader.open("2026-winter")
    days = [date(2025, 12, 1) + timedelta(days=n) for n in range(90)]
    table = reader.table("gas")
    stocks, temperatures = (list(column(table, name).values()) for name in ("Gas stock", "Mean temperature"))
    assert stocks == pytest.approx([marts(day)["gas_stock_gwh"] / 1000 for day in days], abs=0.051)
    assert temperatures == pytest.approx([marts(day)["temperature_mean_c"] for day in days], abs=0.051)
    titles = reader.page.locator("#gas .role-axis-title text").all_text_contents()
    assert titles == ["Gas stock (TWh)", "Mean temperature (°C)"]
    assert reader.page.locator("#gas .plot").get_by_text("Withdrawal").count() == 1
    reader.open("2025-03-20_2025-04-20")
    shaded = [mark for mark in reader.marks("gas", "rect") if mark["opacity"] in ("0.16", "0.04")]
    assert len(shaded) == 2
    assert shaded[1]["width"] / shaded[0]["width"] == pytest.approx(20 / 12, rel=0.02)
    reader.open()
    hatched = [mark for mark in reader.marks("gas", "rect") if mark["fill"] == "url(#hatch)"]
    assert len(hatched) == len([day for day in DAYS if day > max(LAST_GAS, LAST_TEMPERATURE)])
    # The line of gas stops where a day is absent, and goes on after it.
    (line,) = (mark for mark in reader.marks("gas", "line") if mark["stroke"] == _COLOURS["stock"])
    assert line["d"].count("M") == 2
    assert line["d"].count("L") + line["d"].count("M") == len(
        [d for d in DAYS if marts(d)["gas_stock_gwh"] is not None]
    )
    assert list(column(reader.table("gas"), "Gas stock").values())[4] is None


def test_exchanges_by_border_and_their_destinations(reader: Reader) -> None:
    reader.open()
    names = dict(zip(BORDERS, ("England", "Spain", "Italy", "Switzerland", "Germany and Belgium"), strict=True))
    imports = {names[border]: total(f"import_{border}_mwh") for border in BORDERS}
    exports = {names[border]: total(f"export_{border}_mwh") for border in BORDERS}
    table = reader.table("borders")
    for name in names.values():
        assert column(table, "Import")[name] == pytest.approx(imports[name] / 1000, abs=0.06)
        assert column(table, "Export")[name] == pytest.approx(exports[name] / 1000, abs=0.06)
        assert column(table, "Balance")[name] == pytest.approx((imports[name] - exports[name]) / 1000, abs=0.06)
    bars = Counter(mark["fill"] for mark in reader.marks("borders", "rect"))
    assert bars == {_COLOURS["import"]: 5, _COLOURS["export"]: 5}
    assert len(reader.marks("borders", "symbol")) == 5
    sides = {
        way: [m for m in reader.marks("borders", "rect") if m["fill"] == _COLOURS[way]] for way in ("import", "export")
    }
    # Exports go to the left of zero, imports to the right.
    zero = min(mark["x"] for mark in sides["import"])
    assert max(mark["x"] + mark["width"] for mark in sides["export"]) == pytest.approx(zero, abs=0.6)
    widths = [mark["width"] for mark in sides["import"]]
    assert max(widths) / min(widths) == pytest.approx(max(imports.values()) / min(imports.values()), rel=0.02)
    header, *rows = reader.table("destinations")
    assert header == ["Border", "Export", "Share of exports", "Days on top"]
    assert [row[0] for row in rows] == ["England", "Spain", "Italy", "Switzerland", "Germany and Belgium"]
    days_on_top = len([day for day in DAYS if marts(day)["top_export_destination"]])
    assert [number(row[3]) for row in rows] == [days_on_top, 0, 0, 0, 0]
    assert number(rows[0][2]) == pytest.approx(100 * exports["England"] / sum(exports.values()), abs=0.051)


def test_temperature_categories_count_days_and_those_without_one(reader: Reader) -> None:
    reader.open()
    counted = Counter(marts(day)["temperature_category"] for day in DAYS)
    rows = {row[0]: row[1] for row in reader.table("categories")[1:]}
    assert rows == {
        "Cold (≤ 10 °C)": str(counted["cold"]),
        "Average": str(counted["average"]),
        "Hot (> 25 °C)": "0",
        "No temperature": str(counted[None]),
    }
    assert counted["cold"] > 0
    assert counted[None] > 0


def test_consumption_against_temperature_has_a_point_a_whole_day_and_the_line(reader: Reader) -> None:
    reader.open("2025")
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(365)]
    whole = [day for day in days if marts(day)["electricity_is_complete"]]
    assert len(whole) == 364  # the clocks went back on one
    assert len(reader.marks("scatter", "symbol")) == 364
    table = reader.table("scatter")
    written = column(table, "Mean power (GW)")
    assert written["15 Jan 2025"] == pytest.approx(consumption(date(2025, 1, 15)) / 1000, abs=0.01)
    warm = [marts(day)["temperature_mean_c"] for day in whole]
    # The points lie on the line by which they were made.
    (line,) = reader.marks("scatter", "line")
    points = [
        (mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2) for mark in reader.marks("scatter", "symbol")
    ]
    assert min(x for x, _ in points) == pytest.approx(line["x"], abs=2)
    assert min(y for _, y in points) == pytest.approx(line["y"], abs=3)
    assert max(y for _, y in points) == pytest.approx(line["y"] + line["height"], abs=3)
    # It ends at the base of heating, and is not of summer.
    degrees = (max(x for x, _ in points) - line["x"]) / (max(warm) - min(warm))
    assert line["width"] == pytest.approx((18 - min(warm)) * degrees, abs=3)
    expect(reader.page.locator("#scatter .legend")).to_contain_text("Line of all winters")
    expect(reader.page.locator("#scatter .summary")).to_contain_text("2,400 MW more for each degree below 18 °C")
    reader.open("2026-01")
    expect(reader.page.locator("#scatter .legend")).to_contain_text("Line of winter 2025-2026")


def test_mix_by_season(reader: Reader) -> None:
    reader.open()
    rows = reader.table("seasons")[1:]
    assert [row[0] for row in rows[::4]] == ["Winter", "Spring", "Summer", "Autumn"]
    shares = {(row["season"], row["source"]): row["share_mean_pct"] for row in SEASONS}
    for season, source, mean, deviation, lowest, highest in rows:
        share = shares[season.lower(), source.lower()]
        assert [number(text) for text in (mean, deviation, lowest, highest)] == [share, 0.5, share - 0.5, share + 0.5]
    heights = [mark["height"] for mark in reader.marks("seasons", "rect") if mark["fill"] == _COLOURS["nuclear"]]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 68 / 64, 71 / 64, 66 / 64], abs=0.01)


def test_exchanges_by_fullness_by_method_groups_and_border(reader: Reader) -> None:
    reader.open()

    def expected(method: str, kind: str, border: str) -> list[tuple[float, float]]:
        return [
            (row["import_mwh"] / 1000, row["export_mwh"] / 1000)
            for row in FULLNESS
            if (row["method"], row["group_type"], row["border"]) == (method, kind, border)
        ]

    def written() -> list[tuple[float | None, float | None]]:
        return [(number(row[3]), number(row[4])) for row in reader.table("fullness")[1:]]

    assert written() == expected("raw", "tercile", "all")
    assert len(reader.marks("fullness", "rect")) == 6
    figure = reader.page.locator("#fullness")
    figure.get_by_role("button", name="10 groups").click()
    expect(figure.locator(".mark-rect.role-mark path")).to_have_count(20)
    assert written() == expected("raw", "decile", "all")
    figure.get_by_role("button", name="Beyond the season").click()
    expect(figure.locator(".role-axis-title").first).to_contain_text("above the season")
    assert written() == expected("deseasonalised", "decile", "all")
    figure.get_by_label("Border").select_option("spain")
    expect(figure.locator("tbody tr")).to_have_count(10)
    assert written() == expected("deseasonalised", "decile", "spain")


def test_links_are_shown_with_their_intervals(reader: Reader) -> None:
    reader.open()
    figure = reader.page.locator("#links")
    for question, name in {
        3: "3. Sources and temperature",
        2: "2. Gas and temperature",
        6: "6. Exchanges and gas stock",
    }.items():
        figure.get_by_label("Question").select_option(label=name)
        rows = [row for row in RELATIONSHIPS if row["question"] == question]
        expect(figure.locator(".mark-symbol.role-mark path")).to_have_count(len(rows))
        written = [(number(row[1]), row[2]) for row in reader.table("links")[1:]]
        assert written == [
            (row["r"], f"{row['r_low']:+.2f} – {row['r_high']:+.2f}".replace("-", "−"))
            for row in sorted(rows, key=lambda row: -abs(row["r"]))
        ]
    # Grey where the interval holds 0.
    clear = [row for row in RELATIONSHIPS if row["question"] == 6 and row["r_low"] > 0]
    fills = Counter(mark["fill"] for mark in reader.marks("links", "symbol"))
    assert fills == {_COLOURS["export"]: len(clear), _COLOURS["average"]: 1}


def test_tiles_show_the_figures_and_their_change_on_a_year_before(reader: Reader, site: Site) -> None:
    reader.open()
    header = site.data("2026-03")["header"]
    tiles = {
        tile.get_attribute("data-tile"): tile.inner_text().replace("\u00a0", " ").replace("\u202f", " ")
        for tile in reader.page.locator(".tile").all()
    }
    assert f"{total('consumption_mwh') / 1e6:.2f} TWh" in tiles["consumption"]
    change = header["consumption_mwh"]["change"]
    assert f"{change['difference_pct']:+.1f}%".replace("-", "−") in tiles["consumption"]
    assert f"over {change['days']} comparable days" in tiles["consumption"]
    assert f"{header['consumption_mwh']['days']} of 31 days" in tiles["consumption"]
    assert "30.0 g/kWh" in tiles["co2"]
    assert f"−{-total('physical_exchange_mwh') / 1000:.1f} GWh" in tiles["netExchange"]
    temperatures = [marts(day)["temperature_mean_c"] for day in DAYS if marts(day)["temperature_mean_c"] is not None]
    assert f"{sum(temperatures) / len(temperatures):.1f} °C" in tiles["temperature"]
    assert f"{marts(LAST_GAS)['gas_fullness_pct']:.1f}%" in tiles["fullness"]
    # Before the data began there is nothing to compare with.
    reader.open("2022-02")
    expect(reader.page.locator('[data-tile="production"] .change')).to_have_text("no figure a year before")
    # Where both years are whole, the figure of the year before is written.
    reader.open("2026-02")
    before = total("consumption_mwh", [date(2025, 2, 1) + timedelta(days=n) for n in range(28)])
    expect(reader.page.locator('[data-tile="consumption"] .change')).to_contain_text(f"({before / 1e6:.2f}\u00a0TWh)")


def test_answers_are_shown_as_they_are_with_a_way_to_their_method(reader: Reader) -> None:
    reader.open()
    answers = reader.page.locator("article.answer")
    expect(answers).to_have_count(6)
    for number_, answer in enumerate(answers.all(), 1):
        for part in ("question", "answer", "figures", "caveat"):
            expect(answer).to_contain_text(f"{part} {number_} en")
        expect(answer).to_contain_text("1 Jan 2022 – 15 Mar 2026")
    # What looks like HTML is text.
    expect(answers.first).to_contain_text("<b>&amp;\"'</b></script>")
    assert reader.page.evaluate("window.broken") is None
    target = reader.page.locator("#method-4")
    expect(target).not_to_be_visible()
    answers.nth(3).get_by_role("link", name="How it is made").click()
    expect(target).to_be_in_viewport()
    expect(target).to_contain_text("Sources and gas stock")


def test_a_tip_says_what_is_under_the_pointer(reader: Reader) -> None:
    reader.open()
    reader.page.locator("#mix").scroll_into_view_if_needed()
    place = reader.page.locator("#mix .plot").bounding_box()
    assert place
    reader.page.mouse.move(place["x"] + 80, place["y"] + 120)
    tip = reader.page.locator("#tip")
    expect(tip).to_be_visible()
    text = tip.inner_text().replace("\u00a0", " ")
    assert text.startswith("1 Mar 2026")
    assert f"{marts(DAYS[0])['nuclear_mwh'] / 1000:,.0f} GWh" in text
    reader.page.mouse.move(5, 5)
    expect(tip).to_be_hidden()
