"""The web UI in a real browser, as people use it. Each step leaves a picture in ``.local/screenshots``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from local.basics import LOCAL
from local.stack import DAGS, USER
from tests.chromium import chromium
from tests.compose.support import Containers
from tests.e2e.support import Snapshot, tries
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(1800)

SCREENSHOTS: Final = LOCAL / "screenshots"
DAG: Final = "gas_storage_daily"

#: Milliseconds that a page, and that a run, has.
PAGE: Final = 30_000
RUN: Final = 900_000


@dataclass(frozen=True)
class User:
    """Somebody in front of the web UI."""

    page: Page
    url: str

    def open(self, path: str) -> None:
        """Open a page of the UI."""
        self.page.goto(f"{self.url}{path}")

    def log_in(self, password: str) -> None:
        """Fill in the form that the UI shows to strangers."""
        self.page.locator("input[name=username]").fill(USER)
        self.page.locator("input[name=password]").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def comes_to(self, address: str) -> None:
        """Wait until the page's address has a part that matches."""
        # Not wait_for_url(), which fails when the UI gives up one navigation for another on the way.
        expect(self.page).to_have_url(re.compile(address), timeout=PAGE)

    def picture(self, name: str) -> None:
        """Keep what the page looks like."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    def in_the_graph(self, task: str, text: str, patience: float = PAGE) -> None:
        """Wait until a node of the graph shows a text."""
        expect(self.page.get_by_test_id(f"rf__node-{task}")).to_contain_text(text, timeout=patience)

    def open_graph(self, run_id: str) -> None:
        """Open a run's graph."""
        self.open(f"/dags/{DAG}/runs/{run_id}")
        self.page.get_by_label("Show Graph (Press g)").first.click()
        self.in_the_graph("prepare", "prepare")

    def clear(self, picture: str) -> None:
        """Clear what the page is of, and what comes after it."""
        self.page.get_by_label("Press shift+c to clear").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text("Affected Tasks", timeout=PAGE)
        self.picture(picture)
        dialog.get_by_role("button", name="Confirm").click()
        expect(dialog).to_have_count(0, timeout=PAGE)

    def trigger(self, **form: str) -> str:
        """Trigger the DAG with its form, and take the run's id from the page that follows."""
        self.open(f"/dags/{DAG}")
        self.page.get_by_test_id("trigger-dag-button").click()
        for name, value in form.items():
            self.page.locator(f"#element_{name}").fill(value)
        self.picture("3-trigger-form" if form else "7-trigger-form")
        self.page.get_by_test_id("trigger-dag-submit").click()
        self.comes_to("/runs/manual__")
        return self.page.url.partition("/runs/")[2].partition("/")[0].partition("?")[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of this machine."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def stranger(browser: Browser, containers: Containers) -> Iterator[User]:
    """A browser that nobody has logged in with."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        yield User(context.new_page(), containers.compose.address("api-server", 8080))


@pytest.fixture
def user(stranger: User, containers: Containers) -> User:
    """Who knows the password that ``make password`` prints."""
    stranger.open("/dags")
    stranger.log_in(containers.compose.password)
    stranger.comes_to("^[^?]*/dags$")
    return stranger


@pytest.mark.parametrize("path", ["/", "/dags", f"/dags/{DAG}", "/assets", "/connections", "/pools", "/variables"])
def test_no_page_is_shown_without_logging_in(stranger: User, path: str) -> None:
    stranger.open(path)
    stranger.comes_to("^[^?]*/auth/login")
    expect(stranger.page.get_by_text(DAG)).to_have_count(0)
    for resource in ("dags", "connections", "variables", "pools"):
        assert stranger.page.request.get(f"{stranger.url}/api/v2/{resource}").status in (401, 403), resource


def test_nothing_of_the_dashboard_is_shown_without_logging_in(stranger: User) -> None:
    for path in ("", "data", "data?period=2026", "csv", "assets/app.js", "openapi.json", "docs", "no/such/thing"):
        assert stranger.page.request.get(f"{stranger.url}/energy-dashboard/{path}").status == 401, path
    stranger.open("/plugin/energie")
    stranger.comes_to("^[^?]*/auth/login")


def test_the_dashboard_shows_what_the_warehouse_has(user: User, containers: Containers, clean: Snapshot) -> None:
    user.open("/")
    expect(user.page.get_by_role("link", name="Énergie")).to_have_attribute("href", "/plugin/energie", timeout=PAGE)
    user.open("/plugin/energie")
    frame = user.page.frame_locator("iframe")
    expect(frame.locator("main#content")).to_have_attribute("aria-busy", "false", timeout=PAGE)
    expect(frame.locator("[data-banner=sample]")).to_be_visible()
    expect(frame.locator("figure .plot svg")).to_have_count(10)
    user.picture("12-dashboard")
    frame.locator("#picker select").first.select_option("year")
    expect(frame.locator("main#content")).to_have_attribute("aria-busy", "false", timeout=PAGE)
    frame.locator("#totals summary").click()
    written = frame.locator("#totals tbody tr").evaluate_all("rows => rows.map(row => row.innerText.split('\\t'))")
    year = parse_qs(urlsplit(user.page.url).query)["period"][0]
    assert re.fullmatch(r"\d{4}", year)
    measured = containers.compose.warehouse.query(
        "SELECT source, SUM(energy_mwh) / 1e6 FROM energy.energy_mix_daily "
        f"WHERE EXTRACT(YEAR FROM day) = {year} GROUP BY source ORDER BY 2 DESC"
    ).rows
    assert len(measured) == 8
    for (source, twh), (name, energy, _) in zip(measured, written, strict=True):
        assert name.lower() == source
        assert energy.endswith("TWh")
        assert abs(float(energy.split()[0].replace(",", "")) - twh) <= 0.051
    days = containers.compose.warehouse.query(
        "SELECT COUNT(*) FROM energy.energy_climate_daily "
        f"WHERE EXTRACT(YEAR FROM day) = {year} AND electricity_is_complete AND temperature_mean_c IS NOT NULL"
    ).rows[0][0]
    expect(frame.locator("#scatter .mark-symbol.role-mark path")).to_have_count(days)


def test_a_wrong_password_is_refused(stranger: User) -> None:
    stranger.open("/dags")
    for password in ("admin", "airflow", "x" * 16):
        stranger.log_in(password)
        expect(stranger.page.get_by_text("Invalid credentials")).to_be_visible(timeout=PAGE)
        assert "/auth/login" in stranger.page.url
    stranger.picture("0-wrong-password")
    assert stranger.page.request.get(f"{stranger.url}/api/v2/dags").status == 401


def test_the_three_dags_are_there_with_schedule_tags_and_documentation(user: User, clean: Snapshot) -> None:
    schedules = {
        "eco2mix_hourly": "20 * * * *",
        "gas_storage_daily": "0 11 * * *",
        "temperature_monthly": "0 7 1-15 * *",
    }
    expect(user.page.get_by_text("3 Dags")).to_be_visible(timeout=PAGE)
    for dag_id in DAGS:
        expect(user.page.get_by_role("link", name=dag_id, exact=True)).to_be_visible()
        expect(user.page.get_by_text(schedules[dag_id])).to_be_visible()
    for tag in ("electricity", "gas", "temperature"):
        expect(user.page.get_by_role("link", name=tag, exact=True)).to_be_visible()
    user.picture("1-dags")
    for dag_id in DAGS:
        user.open(f"/dags/{dag_id}")
        user.page.get_by_test_id("markdown-button").click()
        expect(user.page.get_by_role("dialog")).to_contain_text("When a task fails", timeout=PAGE)
        expect(user.page.get_by_role("dialog")).to_contain_text("Owner data-platform")
        if dag_id == DAG:
            user.picture("2-documentation")
        user.page.keyboard.press("Escape")


def test_a_window_is_fetched_again_from_the_form_and_the_graph_turns_green(
    user: User, containers: Containers, clean: Snapshot
) -> None:
    run_id = user.trigger(window_start="2025-06-01", window_end="2025-07-01")
    assert containers.api.run(DAG, run_id)["conf"] == {
        "window_start": "2025-06-01",
        "window_end": "2025-07-01",
        "force": False,
    }
    user.open_graph(run_id)
    user.picture("4-graph-begins")
    user.in_the_graph("prepare", "success", RUN)
    user.in_the_graph("dbt", "running", RUN)
    user.picture("5-graph-runs")
    user.in_the_graph("dbt", "success", RUN)
    user.in_the_graph("record", "success", RUN)
    user.picture("6-graph-is-green")
    user.page.get_by_test_id("expand-all-button").click()
    user.in_the_graph("dbt.gas_stock_daily.run", "success")
    assert containers.follow({DAG: run_id}) == {DAG: "success"}
    assert containers.snapshot() == clean


def test_a_task_that_the_source_made_fail_is_read_about_and_cleared(
    user: User, containers: Containers, clean: Snapshot
) -> None:
    gate = "stock_quotidien_stockages_gaz.gate"
    containers.set_faults("- {kind: not_found, dataset: stock-quotidien-stockages-gaz, times: null}\n")
    try:
        run_id = user.trigger()
        user.open_graph(run_id)
        user.in_the_graph("stock_quotidien_stockages_gaz", "failed", RUN)
        user.picture("8-task-failed")
        user.open(f"/dags/{DAG}/runs/{run_id}/tasks/{gate}")
        user.page.get_by_test_id("grid-view-button").click()  # which leaves the log more room
        # What the log ends with: dataset, cause, next step.
        log = user.page.locator("body")
        expect(log).to_contain_text("stock-quotidien-stockages-gaz", timeout=PAGE)
        expect(log).to_contain_text("has no such dataset. Check the dataset's name", timeout=PAGE)
        user.picture("9-error-in-its-log")
    finally:
        containers.set_faults("")
    # What does not begin for want of the gate is marked a step at a time: cleared in the middle, part of it would stay.
    wait_until(lambda: not containers.is_running(DAG, run_id), "the run ends", 120)
    user.clear("10-clear")
    assert containers.goes_on(DAG, run_id) == "success"
    user.open_graph(run_id)
    user.in_the_graph("stock_quotidien_stockages_gaz", "success")
    user.picture("11-task-succeeded")
    (tried,) = [task for task in containers.api.tasks(DAG, run_id) if task["task_id"] == gate]
    assert (tried["state"], tried["try_number"]) == ("success", 2)


@pytest.mark.parametrize(
    ("page", "cleared"), [("/tasks/group/dbt", "dbt."), ("", "")], ids=["the dbt group", "the whole run"]
)
def test_what_is_cleared_in_the_ui_is_built_again(
    user: User, containers: Containers, first_runs: dict[str, str], clean: Snapshot, page: str, cleared: str
) -> None:
    run_id = first_runs[DAG]
    before = tries(containers.api, DAG, run_id)
    containers.compose.warehouse.query("DROP TABLE energy.gas_stock_daily")
    user.open(f"/dags/{DAG}/runs/{quote(run_id)}{page}")
    user.clear(f"12-clear{page.replace('/', '-')}")
    assert containers.goes_on(DAG, run_id) == "success"
    after = tries(containers.api, DAG, run_id)
    # Tasks of a backfill are skipped in a run without a window, and never tried.
    tasks = [task for task in before if task.startswith(cleared) and ".backfill." not in task]
    assert len(tasks) > 20
    assert not [task for task in tasks if after[task] == before[task]]
    assert containers.snapshot() == clean
