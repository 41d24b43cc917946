"""The dashboard's page as a browser gets it: the real routes, with marts and a login of the tests' own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, ConsoleMessage, Frame, Page, ViewportSize
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from energy_dashboard import build
from energy_dashboard.dashboard import Dashboard
from energy_dashboard.routes import create_app
from local.basics import LOCAL
from odre.contracts import read_contracts
from odre.settings import Settings
from tests.browser.marts import MartsOfTests
from tests.chromium import chromium

SCREENSHOTS: Final = LOCAL / "screenshots"

#: Milliseconds that a page has until all of it is drawn.
PATIENCE: Final = 20_000

#: Airflow's UI around the page: the same sandbox, and the same class for the theme.
FRAME: Final = """<!doctype html><html lang="en" class="{theme}">
<title>Airflow</title><link rel="icon" href="data:,"><body><main>
<iframe title="Énergie" sandbox="allow-scripts allow-same-origin allow-forms" src="/energy-dashboard/"
 width="1200" height="700"></iframe></main></body></html>"""


@dataclass
class Site:
    """What is served; tests change it before they open a page."""

    url: str = ""
    marts: MartsOfTests = field(default_factory=MartsOfTests)
    sample: bool = False
    logged_in: bool = True
    theme: str = "light"
    _app: ASGIApp | None = None
    _dashboard: Dashboard | None = None

    def reset(self) -> None:
        """As it was, with nothing in memory."""
        self.marts, self.sample, self.logged_in, self.theme = MartsOfTests(), False, True, "light"
        self._dashboard = Dashboard(
            Settings.from_environment({"GOOGLE_CLOUD_PROJECT": "test"}),
            self.marts,
            stale_after_hours={contract.dataset: contract.freshness_hours for contract in read_contracts().values()},
            is_sample=lambda: self.sample,
        )
        self._app = create_app(self._dashboard, self._authenticated)

    def _authenticated(self) -> None:
        if not self.logged_in:
            raise HTTPException(401, "Not authenticated")

    def body(self, period: str) -> bytes:
        """What the data route answers."""
        assert self._dashboard
        return self._dashboard.answer(period).body

    def data(self, period: str) -> dict[str, Any]:
        """The same, read."""
        answer: dict[str, Any] = json.loads(self.body(period))
        return answer

    async def dashboard(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """The app that was made last."""
        assert self._app
        await self._app(scope, receive, send)


@pytest.fixture(scope="session")
def served() -> Iterator[Site]:
    """The server, in a thread of this process."""
    site = Site()
    outer = FastAPI()
    outer.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)  # as Airflow has it
    outer.mount("/energy-dashboard", site.dashboard)
    outer.add_api_route("/plugin/energie", lambda: HTMLResponse(FRAME.format(theme=site.theme)))
    server = uvicorn.Server(uvicorn.Config(outer, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    (host, port) = server.servers[0].sockets[0].getsockname()
    site.url = f"http://{host}:{port}"
    yield site
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def site(served: Site) -> Site:
    """The server as it was at the beginning."""
    served.reset()
    return served


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium of this machine. It ends with these tests: while it is there, so is an event loop in this thread."""
    with chromium() as browser:
        yield browser


@dataclass
class Reader:
    """Somebody who reads the dashboard."""

    page: Page
    site: Site
    #: What the console said, and what was asked of others than the site.
    complaints: list[str] = field(default_factory=list)
    #: What was asked of the site.
    requests: list[str] = field(default_factory=list)

    def open(self, period: str | None = "2026-03", lang: str = "en", **others: str) -> None:
        """Open the page by itself, and wait until all is drawn."""
        query = {**({"period": period} if period else {}), "lang": lang, **others}
        self.page.goto(f"{self.site.url}/energy-dashboard/?" + "&".join(f"{k}={v}" for k, v in query.items()))
        self.drawn()

    def open_in_airflow(self, query: str = "") -> Frame:
        """Open it in the frame of Airflow's UI."""
        self.page.goto(f"{self.site.url}/plugin/energie{query}")
        frame = self.page.frames[1]
        self.drawn(frame)
        return frame

    def drawn(self, frame: Frame | None = None) -> None:
        """Wait until all is drawn."""
        (frame or self.page).wait_for_selector('main#content[aria-busy="false"]', state="attached", timeout=PATIENCE)

    def picture(self, name: str, selector: str | None = None) -> None:
        """Keep what the page, or a part, looks like."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"dashboard-{name}.png"
        if selector:
            self.page.locator(selector).screenshot(path=path)
        else:
            self.page.screenshot(path=path, full_page=True)

    def table(self, chart: str) -> list[list[str]]:
        """A chart's data as its table has them: header, then rows. Opens it."""
        details = self.page.locator(f"#{chart} details")
        if details.get_attribute("open") is None:
            details.locator("summary").click()
        details.locator("tbody tr").first.wait_for()
        rows = details.locator("tr").evaluate_all("rows => rows.map(row => [...row.cells].map(c => c.textContent))")
        return cast(list[list[str]], rows)

    def marks(self, chart: str, kind: str) -> list[dict[str, Any]]:
        """The drawn marks of a kind (``rect``, ``line``, ``symbol``), with fill and place in pixels."""
        script = """paths => paths.map(path => {
          const { x, y, width, height } = path.getBoundingClientRect();
          const names = ["fill", "stroke", "opacity", "d"];
          return { x, y, width, height, ...Object.fromEntries(names.map(name => [name, path.getAttribute(name)])) };
        })"""
        found = self.page.locator(f"#{chart} .plot .mark-{kind}.role-mark path").evaluate_all(script)
        return cast(list[dict[str, Any]], found)


@dataclass
class Readers:
    """Opens browsers; sees in the end that none had to complain."""

    browser: Browser
    site: Site
    made: list[Reader] = field(default_factory=list)

    def __call__(self, *, width: int = 1280, height: int = 900, offline: bool = False, **options: Any) -> Reader:
        size: ViewportSize = {"width": width, "height": height}
        context = self.browser.new_context(viewport=size, accept_downloads=True, offline=offline, **options)
        context.set_default_timeout(PATIENCE / 2)
        reader = Reader(context.new_page(), self.site)
        self.made.append(reader)

        def said(message: ConsoleMessage) -> None:
            # The sandbox is Airflow's.
            if "can escape its sandboxing" not in message.text:
                reader.complaints.append(f"{message.type}: {message.text}")

        context.on("console", said)
        context.on("weberror", lambda error: reader.complaints.append(str(error.error)))

        def asked(url: str) -> None:
            if url.startswith(self.site.url):
                reader.requests.append(url.removeprefix(self.site.url))
            elif not url.startswith(("data:", "blob:", "file:")):
                reader.complaints.append(f"asked for {url}")

        context.on("request", lambda request: asked(request.url))
        return reader


@pytest.fixture
def readers(browser: Browser, site: Site) -> Iterator[Readers]:
    """New readers; nothing may be in their consoles, and nothing may have been asked of another host."""
    readers = Readers(browser, site)
    yield readers
    for reader in readers.made:
        reader.page.unroute_all(behavior="ignoreErrors")
        reader.page.context.close()
    assert [complaint for reader in readers.made for complaint in reader.complaints] == []


@pytest.fixture
def reader(readers: Readers) -> Reader:
    """A reader with a wide window."""
    return readers()


@pytest.fixture
def single_file(site: Site, tmp_path: Path) -> Callable[[str], str]:
    """Writes the page of a period into one file, and gives its address."""

    def write(period: str) -> str:
        path = tmp_path / "dashboard.html"
        path.write_text(build.single_file(site.body(period)))
        return path.as_uri()

    return write
