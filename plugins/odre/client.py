"""Client of an Opendatasoft portal's Explore API v2.1, as far as the pipeline needs it.

Pure: no Airflow import. Each method is one request (and its retries): one export costs one call of the portal's quota,
whatever its size.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Final, NoReturn, TypeVar

import requests
import urllib3
from requests.auth import AuthBase

from odre.address import API_PATH, Address

log = logging.getLogger(__name__)

#: Seconds to connect, and to wait for the next bytes.
TIMEOUT: Final = (10.0, 120.0)
#: The most that one read of a body returns, bytes.
READ_BYTES: Final = 1 << 20
#: A quota that frees within this many seconds is waited for.
LONGEST_WAIT_S: Final = 120.0
LONGEST_BACK_OFF_S: Final = 30.0
#: An answer in JSON, or an error's body, is no longer than this: they are read whole.
LONGEST_JSON_BYTES: Final = 8 << 20
#: Below this rate after the grace, a body is given up: the slowest export that consumers report runs at 65 KB/s.
SLOWEST_BYTES_PER_S: Final = 8 * 1024
#: A warning is logged when less than this share of a quota remains.
LOW_QUOTA_SHARE: Final = 0.05

T = TypeVar("T")


class OdreError(RuntimeError):
    """Something is wrong with the source or what it sent; the message names dataset, window, cause and next step."""

    #: Whether the same request may succeed when it is made again later.
    retryable: ClassVar[bool] = False


class SourceUnreachable(OdreError):
    """No connection, a time-out, a 5xx or a body that broke off, still after the bounded tries."""

    retryable = True


class StreamBroken(SourceUnreachable):
    """An export broke off after its first bytes: what was received is worth nothing, the chunk starts again."""


class RequestRefused(OdreError):
    """The source refuses the request (400, 401, 403 …); its message and error code are shown."""


class DatasetAbsent(OdreError):
    """The source has no such dataset (404)."""


class QuotaExhausted(OdreError):
    """The quota of calls is used up (429) and frees too late to wait for.

    ``reset_at`` is when, if the source says so.
    """

    def __init__(self, message: str, reset_at: datetime | None = None) -> None:
        super().__init__(message)
        self.reset_at = reset_at


class UnexpectedAnswer(OdreError):
    """The answer is not what the API gives: a redirect, a web page, JSON that does not parse or lacks a field …"""


class _Transient(Exception):
    """One try failed in a way that another may not; ``last`` is what to raise if it was the last one."""

    def __init__(self, last: OdreError, wait_s: float | None = None) -> None:
        super().__init__(str(last))
        self.last = last
        self.wait_s = wait_s


class _ApiKey(AuthBase):
    """Sets the key's header. An ``auth`` and not a session header, so that a ``.netrc`` cannot replace it."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Apikey {self._key}"
        return request


@dataclass(frozen=True)
class Metadata:
    """What the catalogue says of a dataset: ``data_processed`` is its freshness mark, ``fields`` name → source type."""

    dataset: str
    data_processed: datetime
    fields: dict[str, str]


@dataclass(frozen=True)
class _Subject:
    """What a request is about, for messages."""

    dataset: str
    where: str = ""

    def failure(self, cause: str, next_step: str) -> str:
        return f"{self.dataset}, {self.where or 'all time'}: {cause}. {next_step}"


CHECK_SOURCE: Final = (
    "Check that the portal answers, and the host of the connection odre_default; the next run fetches what is missing: "
    "see docs/runbooks/source-down.md"
)


def parse_instant(text: str) -> datetime:
    """A date-time text of the source (ISO 8601 or RFC 1123) in UTC; UTC where it names no zone.

    Raises:
        ValueError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = parsedate_to_datetime(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} lies outside the calendar") from error


def _until(moment: object) -> tuple[float | None, datetime | None]:
    """The seconds until an instant that the source names, one more included, and the instant; ``None`` = it is none."""
    try:
        instant = parse_instant(moment) if isinstance(moment, str) else None
    except ValueError:
        instant = None
    if instant is None:
        return None, None
    return max((instant - datetime.now(UTC)).total_seconds(), 0.0) + 1.0, instant


def _retry_after(response: requests.Response) -> tuple[float | None, datetime | None]:
    """The seconds to wait that an answer's ``Retry-After`` names, and when they are over; ``None`` = it names none."""
    text = response.headers.get("Retry-After", "").strip()
    if not re.fullmatch("[0-9]{1,9}", text):
        return _until(text)
    wait_s = max(float(text), 1.0)
    return wait_s, datetime.now(UTC) + timedelta(seconds=wait_s)


class OdreClient:
    """Requests to one portal.

    Args:
        base_url: scheme and host of the portal, e.g. ``https://odre.opendatasoft.com``.
        api_key: optional key; it is sent as a header and never logged.
        timeout: seconds to connect, and to wait for the next bytes.
        max_tries: tries of one request, the first included.
        back_off_s: seconds to wait at most before the second try; twice as long before each further one.
        deadline_s: seconds after which a body that is still coming is given up.
        grace_s: seconds after which it must have come at :data:`SLOWEST_BYTES_PER_S`.
        sleep: how to wait between tries.

    Raises:
        ValueError: ``base_url`` is not an ``http`` or ``https`` address.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: tuple[float, float] = TIMEOUT,
        max_tries: int = 4,
        back_off_s: float = 2,
        deadline_s: float = 900,
        grace_s: float = 60,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        address = Address.parse(base_url)
        self.base_url = address.base_url
        self.max_tries = max_tries
        self._timeout = timeout
        self._back_off_s = back_off_s
        self._deadline_s = deadline_s
        self._grace_s = grace_s
        self._sleep = sleep
        self._session = requests.Session()
        key = api_key or address.api_key
        self._auth = _ApiKey(key) if key else None

    def metadata(self, dataset: str) -> Metadata:
        """Freshness mark and fields of a dataset.

        Raises:
            OdreError: as the subclass says.
        """
        subject = _Subject(dataset)
        body = self._json(subject, "", {})
        try:
            processed = parse_instant(body["metas"]["default"]["data_processed"])
            fields = {field["name"]: field["type"] for field in body["fields"]}
            if not all(isinstance(text, str) for pair in fields.items() for text in pair):
                raise TypeError("a field's name or type is no text")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(
                subject.failure(f"its metadata have no readable freshness mark or fields ({error!r})", CHECK_SOURCE)
            ) from error
        return Metadata(dataset, processed, fields)

    def count(self, dataset: str, where: str) -> int:
        """The number of the dataset's rows under an ODSQL condition (empty = all).

        Raises:
            OdreError: as the subclass says.
        """
        subject = _Subject(dataset, where)
        body = self._json(subject, "/records", {"limit": "0", **({"where": where} if where else {})})
        count = body.get("total_count")
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UnexpectedAnswer(subject.failure(f"the source gives the count {count!r}", CHECK_SOURCE))
        return count

    def first_time(self, dataset: str, time_column: str) -> datetime | None:
        """The dataset's first instant (midnight UTC for a day); ``None`` when it has no row.

        Raises:
            OdreError: as the subclass says.
        """
        subject = _Subject(dataset)
        body = self._json(
            subject,
            "/records",
            {"select": time_column, "order_by": time_column, "limit": "1", "timezone": "UTC"},
        )
        try:
            results = body["results"]
            value = results[0][time_column] if results else None
            return None if value is None else parse_instant(value)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(
                subject.failure(f"its first {time_column} cannot be read ({error!r})", CHECK_SOURCE)
            ) from error

    @contextmanager
    def export_csv(
        self, dataset: str, select: Sequence[str], where: str, order_by: Sequence[str]
    ) -> Iterator[Iterator[bytes]]:
        """A context with the CSV export of the rows under ``where`` as a stream of decoded bytes.

        Separator ``;``, technical names in the header, instants in UTC, no byte order mark asked for.

        Raises:
            StreamBroken: on reading, when the body breaks off. A retry starts the whole export again.
            OdreError: as the subclass says, before any byte is handed out.
        """
        subject = _Subject(dataset, where)
        params = {
            "select": ",".join(select),
            "order_by": ",".join(order_by),
            "delimiter": ";",
            "with_bom": "false",
            "timezone": "UTC",
            "use_labels": "false",
            **({"where": where} if where else {}),
        }
        response = self._retried(lambda: self._open(subject, "/exports/csv", params))
        try:
            content_type = response.headers.get("Content-Type", "")
            if content_type and not any(kind in content_type.lower() for kind in ("csv", "octet-stream", "text/plain")):
                raise UnexpectedAnswer(subject.failure(f"{content_type} came instead of CSV", CHECK_SOURCE))
            yield self._stream(subject, response)
        finally:
            response.close()

    def _retried(self, action: Callable[[], T]) -> T:
        for attempt in range(1, self.max_tries + 1):
            try:
                return action()
            except _Transient as failed:
                if attempt == self.max_tries:
                    raise failed.last from None  # its message has the innermost reason
                wait_s = self._back_off(attempt) if failed.wait_s is None else failed.wait_s
                log.warning("Try %d of %d again in %.1f s: %s", attempt, self.max_tries, wait_s, failed)
                self._sleep(wait_s)
        raise ValueError("max_tries must be at least 1")

    def _back_off(self, attempt: int) -> float:
        return min(self._back_off_s * 2.0 ** (attempt - 1), LONGEST_BACK_OFF_S) * random.uniform(0.5, 1.0)

    def wait(self, attempt: int) -> None:
        """Wait before something is begun again, the longer the more attempts there were."""
        self._sleep(self._back_off(attempt))

    def _open(self, subject: _Subject, path: str, params: dict[str, str]) -> requests.Response:
        """One request; its answer with the body unread, if the source grants it."""
        url = f"{self.base_url}{API_PATH}/catalog/datasets/{subject.dataset}{path}"
        try:
            response = self._session.get(
                url,
                params=params,
                auth=self._auth,
                headers={"Accept-Encoding": "gzip"},
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            cause = f"no answer from {self.base_url} ({_root_cause(error)})"
            raise _Transient(SourceUnreachable(subject.failure(cause, CHECK_SOURCE))) from error
        except requests.RequestException as error:
            raise UnexpectedAnswer(subject.failure(f"the request failed ({error})", CHECK_SOURCE)) from error
        _log_quota(subject, path, response)
        if response.status_code == 200:
            return response
        try:
            self._raise_for_status(subject, response)
        finally:
            response.close()

    def _raise_for_status(self, subject: _Subject, response: requests.Response) -> NoReturn:
        status = response.status_code
        if status < 300:
            cause = f"the source answers {status} {response.reason}, which is not the whole answer"
            raise UnexpectedAnswer(subject.failure(cause, CHECK_SOURCE))
        if 300 <= status < 400:
            where_to = response.headers.get("Location", "an address it does not name")
            cause = f"{self.base_url} redirects to {where_to}"
            raise UnexpectedAnswer(
                subject.failure(cause, "Name the portal's final address in the connection odre_default")
            )
        if status == 404:
            cause = f"{self.base_url} has no such dataset"
            raise DatasetAbsent(subject.failure(cause, "Check the dataset's name in the portal's catalogue"))
        if status == 429:
            self._raise_for_quota(subject, response)
        if status >= 500 or status == 408:
            cause = f"the source answers {status} {response.reason}"
            asked_s, _ = _retry_after(response)
            wait_s = None if asked_s is None else min(asked_s, LONGEST_WAIT_S)
            raise _Transient(SourceUnreachable(subject.failure(cause, CHECK_SOURCE)), wait_s)
        body = self._error_body(subject, response)
        code, message = body.get("error_code") or f"status {status}", body.get("message") or response.reason
        raise RequestRefused(
            subject.failure(f"the source refuses the request: {code}: {message}", _next_step_when_refused(status))
        )

    def _raise_for_quota(self, subject: _Subject, response: requests.Response) -> NoReturn:
        body = self._error_body(subject, response)
        wait_s, reset_at = _retry_after(response)
        if wait_s is None:
            wait_s, reset_at = _until(body.get("reset_time"))
        frees = (
            f"frees at {reset_at:%Y-%m-%dT%H:%M:%SZ}" if reset_at else "frees at a time that the source does not name"
        )
        limit = body.get("errorcode") or body.get("error") or "too many calls"
        exhausted = QuotaExhausted(
            subject.failure(
                f"the quota of calls is used up ({limit}) and {frees}",
                "Run again then, or put an API key in the connection odre_default",
            ),
            reset_at,
        )
        if wait_s is not None and wait_s > LONGEST_WAIT_S:
            raise exhausted
        raise _Transient(exhausted, wait_s)

    def _json(self, subject: _Subject, path: str, params: dict[str, str]) -> dict[str, Any]:
        def fetch() -> dict[str, Any]:
            response = self._open(subject, path, params)
            try:
                content = self._whole_body(subject, response)
            except StreamBroken as error:
                raise _Transient(SourceUnreachable(str(error))) from error
            finally:
                response.close()
            try:
                body = json.loads(content)
            except (ValueError, RecursionError) as error:
                cause = f"what {self.base_url} answers is not JSON: {content[:80].decode(errors='replace')!r}"
                broken = UnexpectedAnswer(subject.failure(cause, CHECK_SOURCE))
                # A web page stays one; a body cut short may be whole the next time.
                if content.lstrip()[:1] == b"<":
                    raise broken from error
                raise _Transient(broken) from error
            if not isinstance(body, dict):
                raise UnexpectedAnswer(subject.failure("the source's JSON is not an object", CHECK_SOURCE))
            return body

        return self._retried(fetch)

    def _error_body(self, subject: _Subject, response: requests.Response) -> dict[str, Any]:
        """The JSON object of an error answer; empty when it is none."""
        try:
            body = json.loads(self._whole_body(subject, response))
        except (ValueError, RecursionError, StreamBroken, UnexpectedAnswer):
            return {}
        return body if isinstance(body, dict) else {}

    def _whole_body(self, subject: _Subject, response: requests.Response) -> bytes:
        content = bytearray()
        for piece in self._stream(subject, response):
            content += piece
            if len(content) > LONGEST_JSON_BYTES:
                cause = f"the source's JSON is longer than {LONGEST_JSON_BYTES} bytes: {bytes(content[:80])!r} …"
                raise UnexpectedAnswer(subject.failure(cause, CHECK_SOURCE))
        return bytes(content)

    def _stream(self, subject: _Subject, response: requests.Response) -> Iterator[bytes]:
        """The decoded body, in pieces as they come."""
        started, received = time.monotonic(), 0
        try:
            # read1 returns after one read of the socket, so that the clock is looked at however slowly bytes drip.
            while data := response.raw.read1(READ_BYTES, decode_content=True):
                received += len(data)
                yield data
                elapsed = time.monotonic() - started
                if elapsed > self._deadline_s or (elapsed > self._grace_s and received < SLOWEST_BYTES_PER_S * elapsed):
                    cause = f"the answer was too slow: {received} bytes in {elapsed:.0f} s"
                    raise StreamBroken(subject.failure(cause, CHECK_SOURCE))
        except urllib3.exceptions.HTTPError as error:
            cause = f"the answer broke off after {received} bytes ({_root_cause(error)})"
            raise StreamBroken(subject.failure(cause, CHECK_SOURCE)) from error


def _next_step_when_refused(status: int) -> str:
    if status in (401, 403):
        return "Check the API key in the connection odre_default"
    return "Run make check-source to see which assumption on the source no longer holds"


def _root_cause(error: BaseException) -> str:
    """The innermost reason of a connection error, without the layers of names around it."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or next(
            (argument for argument in reason.args if isinstance(argument, BaseException)), reason.__cause__
        )
        if not isinstance(inner, BaseException):
            return str(reason) or type(reason).__name__
        reason = inner


def _log_quota(subject: _Subject, path: str, response: requests.Response) -> None:
    """The quota headers of an answer, once; a warning when little is left."""
    parts, low = [], False
    for title, prefix in (("calls", "x-ratelimit"), ("calls of this dataset", "x-ratelimit-dataset")):
        limit, remaining = response.headers.get(f"{prefix}-limit"), response.headers.get(f"{prefix}-remaining")
        if limit is None or remaining is None:
            continue
        parts.append(f"{remaining} of {limit} {title} left until {response.headers.get(f'{prefix}-reset', '?')}")
        if limit.isdigit() and remaining.isdigit():
            low = low or int(remaining) < LOW_QUOTA_SHARE * int(limit)
    quota = "; ".join(parts) or "no quota named"
    log.log(
        logging.WARNING if low else logging.INFO,
        "%s%s answered %d; %s",
        subject.dataset,
        path,
        response.status_code,
        quota,
    )
