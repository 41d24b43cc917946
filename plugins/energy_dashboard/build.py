"""The dashboard's front end, put together: a page for Airflow's web UI, and one file that needs no server.

Both hold the same text: ``page/index.html``, ``page/style.css``, the modules of ``page`` one after the other, and the
charts' JavaScript out of the package ``vl-convert-python``. The page links to them and asks a route for its data; the
file has all of it inside. No request goes to another host, and a Content-Security-Policy says so.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PAGE: Final = Path(__file__).parent / "page"

#: The module that needs all the others.
_MAIN: Final = "app.js"
_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./(?P<module>\w+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)

#: The charts' library, and the one name under which the page knows it. In a process of its own: a JavaScript engine
#: works in it, and would keep its memory.
_BUNDLE: Final = "import vl_convert; print(vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;'))"

_POLICY: Final = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data: blob:; connect-src {connect}; "
    "base-uri 'none'; form-action 'none'"
)
#: The header of the page's answer: nothing from another host, nothing written into the page, no evaluated text.
CONTENT_SECURITY_POLICY: Final = (
    _POLICY.format(script="'self'", style="'self'", connect="'self'") + "; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class Asset:
    """What the page links to. Its name changes with its content, so it may be kept for ever."""

    name: str
    content: bytes
    content_type: str


def page(base: str) -> str:
    """The page for a server that has its assets at ``<base>/assets/<name>`` and its data at ``<base>/data``."""
    head = f'<link rel="stylesheet" href="{base}/assets/{_style().name}">'
    scripts = [f'<script src="{base}/assets/{_charts_name()}" defer></script>']
    scripts.append(f'<script type="module" src="{base}/assets/{_script().name}"></script>')
    return _filled(head, "\n".join(scripts), f"{base}/data")


def asset(name: str) -> Asset:
    """What ``page`` links to by this name.

    Raises:
        KeyError: there is no such asset, or no longer.
    """
    for found in (_style, _script):
        if found().name == name:
            return found()
    if name == _charts_name():
        return Asset(name, _charts().encode(), "text/javascript; charset=utf-8")
    raise KeyError(name)


def single_file(body: bytes) -> str:
    """The same page with its data inside; ``body`` is what the data route answers (docs/dashboard.md)."""
    style, script, charts = _style().content.decode(), _script().content.decode(), _charts()
    policy = _POLICY.format(script=f"{_hash(charts)} {_hash(script)}", style=_hash(style), connect="'none'")
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>'
    # No text in the data can end the element that holds it.
    data = body.decode().replace("<", "\\u003c")
    scripts = [f'<script type="application/json" id="energy-data">{data}</script>']
    scripts += [f"<script>{charts}</script>", f'<script type="module">{script}</script>']
    return _filled(head, "\n".join(scripts), "")


def _filled(head: str, scripts: str, data_url: str) -> str:
    html = (_PAGE / "index.html").read_text()
    for mark, text in {"<!-- head -->": head, "<!-- scripts -->": scripts, "{{ data }}": data_url}.items():
        html = html.replace(mark, text)
    return html


@cache
def _style() -> Asset:
    content = (_PAGE / "style.css").read_bytes()
    return Asset(f"style-{_digest(content)}.css", content, "text/css; charset=utf-8")


@cache
def _script() -> Asset:
    modules: dict[str, str] = {}
    _add_module(_MAIN, modules)
    content = "\n".join(modules.values()).encode()
    return Asset(f"app-{_digest(content)}.js", content, "text/javascript; charset=utf-8")


def _add_module(name: str, modules: dict[str, str]) -> None:
    """Add a module to ``modules`` after those that it imports, without what only links them."""
    text = (_PAGE / name).read_text()
    for found in _IMPORT.finditer(text):
        if found["module"] not in modules:
            _add_module(found["module"], modules)
    modules[name] = _EXPORT.sub("", _IMPORT.sub("", text))


def _charts_name() -> str:
    # By version: its content need not be made for the page's own answer.
    return f"charts-{version('vl-convert-python')}.js"


@cache
def _charts() -> str:
    done = subprocess.run([sys.executable, "-c", _BUNDLE], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"The charts' JavaScript could not be made by vl-convert-python: {done.stderr.strip()[-500:]}"
        )
    return done.stdout.strip()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
