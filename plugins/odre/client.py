"""Client of an Opendatasoft portal's Explore API v2.1, as far as the pipeline needs it.

Pure: no Airflow import. Each method is one request (and its retries): one export costs one call of the portal's quota,
whatever its size.
"""

from __future__ import annotations

import json
import logging
import random
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

from odre.address import API_PATH

log = logging.getLogger(__name__)

#: The most that one read of a body returns, bytes.
READ_BYTES: Final = 1 << 20
#: A quota that frees within this many seconds is waited for.
LONGEST_WAIT_S: Final = 120.0
LONGEST_BACK_OFF_S: Final = 30.0
#: Below this rate after the grace, a body is given up: the slowest export that consumers report runs at 65 KB/s.
SLOWEST_BYTES_PER_S: Final = 8 * 1024
RATE_GRACE_S: Final = 60.0
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
    """The answer is not what the API gives: a redirect, a web page, JSON that does not parse or lacks a field."""


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
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parse_instant_or_none(value: object) -> datetime | None:
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except ValueError:
        return None


class OdreClient:
    """Requests to one portal.

    Args:
        base_url: scheme and host of the portal, e.g. ``https://odre.opendatasoft.com``.
        api_key: optional key; it is sent as a header and never logged.
        timeout: seconds to connect, and to wait for the next bytes.
        max_tries: tries of one request, the first included.
        deadline_s: seconds after which a body that is still coming is given up.
        sleep: how to wait between tries.
        session: the ``requests`` session to use.

    Raises:
        ValueError: ``base_url`` is not an ``http`` or ``https`` address.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: tuple[float, float] = (10, 120),
        max_tries: int = 4,
        deadline_s: float = 900,
        sleep: Callable[[float], object] = time.sleep,
        session: requests.Session | None = None,
    ) -> None:
        if not base_url.lower().startswith(("http://", "https://")):
            raise ValueError(f"The source's address must begin with http:// or https://, unlike {base_url!r}")
        self.base_url = base_url.rstrip("/").removesuffix(API_PATH)
        self.max_tries = max_tries
        self._timeout = timeout
        self._deadline_s = deadline_s
        self._sleep = sleep
        self._session = session or requests.Session()
        self._auth = _ApiKey(api_key) if api_key else None

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
        if not isinstance(count, int) or isinstance(count, bool):
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
                wait_s = failed.wait_s
                if wait_s is None:
                    wait_s = min(2.0**attempt, LONGEST_BACK_OFF_S) * random.uniform(0.5, 1.0)
                log.warning("Try %d of %d again in %.1f s: %s", attempt, self.max_tries, wait_s, failed)
                self._sleep(wait_s)
        raise ValueError("max_tries must be at least 1")

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
            raise _Transient(SourceUnreachable(subject.failure(cause, CHECK_SOURCE)))
        body = self._error_body(subject, response)
        code, message = body.get("error_code") or f"status {status}", body.get("message") or response.reason
        raise RequestRefused(
            subject.failure(f"the source refuses the request: {code}: {message}", _next_step_when_refused(status))
        )

    def _raise_for_quota(self, subject: _Subject, response: requests.Response) -> NoReturn:
        body, now = self._error_body(subject, response), datetime.now(UTC)
        retry_after = response.headers.get("Retry-After", "").strip()
        if retry_after.isdigit():
            wait_s: float | None = float(retry_after)
            reset_at: datetime | None = now + timedelta(seconds=min(int(retry_after), 10**9))
        else:
            reset_at = _parse_instant_or_none(retry_after) or _parse_instant_or_none(body.get("reset_time"))
            wait_s = None if reset_at is None else max((reset_at - now).total_seconds(), 0.0) + 1.0
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
                content = b"".join(self._stream(subject, response))
            except StreamBroken as error:
                raise _Transient(SourceUnreachable(str(error))) from error
            finally:
                response.close()
            try:
                body = json.loads(content)
            except ValueError as error:
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
            body = json.loads(b"".join(self._stream(subject, response)))
        except (ValueError, StreamBroken):
            return {}
        return body if isinstance(body, dict) else {}

    def _stream(self, subject: _Subject, response: requests.Response) -> Iterator[bytes]:
        """The decoded body, in pieces as they come."""
        started, received = time.monotonic(), 0
        try:
            # read1 returns after one read of the socket, so that the clock is looked at however slowly bytes drip.
            while data := response.raw.read1(READ_BYTES, decode_content=True):
                received += len(data)
                yield data
                elapsed = time.monotonic() - started
                if elapsed > self._deadline_s or (elapsed > RATE_GRACE_S and received < SLOWEST_BYTES_PER_S * elapsed):
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
