"""`Rata`: the HTTP client of a service."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from .files import Pulled, PullTarget, ShowProgress, run_pull
from .problems import BadAddress, BadToken, Language, MissingPackage, Misused, NoToken, Sentence
from .retry import TRANSFER_ERRORS, Attempts, Patience, describe_error, wait_for_retry
from .tls import create_trusting_context

TIMEOUT = httpx.Timeout(30.0, read=120.0)
"""The service queues an export before it answers; the read time-out is longer than its queue."""

_UNREADABLE = Sentence("balasan tidak dapat dibaca", "the reply cannot be read")
_HOST = re.compile(rb"[\w.:-]+")


class BadProxy(Misused):
    text = Sentence(
        "HTTP_PROXY, HTTPS_PROXY atau ALL_PROXY bukan alamat proksi; tulis seperti http://proksi.example:3128.",
        "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not the address of a proxy; write one such as http://proxy.example:3128.",
    )


class Reply(NamedTuple):
    """A reply: 200 with its content, or 304 without."""

    status: int
    content: Any
    etag: str | None


class FeedReply(NamedTuple):
    """A page of the feed."""

    items: list[dict[str, object]]
    next: str
    """The cursor to store."""
    more: bool
    etag: str | None


class Rata(AbstractContextManager["Rata"]):
    """A client of a Rata service with a token. Not thread-safe.

    Every call is a read. It retries lost connections, 429, 502, 503 and 504 until `patience` ends. Raises the errors
    of `problems`.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        language: Language = "id",
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        if not _is_address(self.base_url):
            raise BadAddress(address=re.sub("//.*@", "//…@", base_url))
        if not token:
            raise NoToken
        if not token.isascii() or not token.isprintable() or " " in token:
            raise BadToken
        self.patience = patience or Patience()
        trusted = create_trusting_context()
        try:
            self._http = httpx.Client(
                headers={
                    "Authorization": f"Bearer {token}",
                    "Accept-Language": language,
                    "User-Agent": "rata-client",
                },
                timeout=TIMEOUT,
                verify=trusted,
                transport=transport,
            )
        except ImportError as error:  # httpx reads the proxies of the environment
            raise MissingPackage(what="HTTP_PROXY, HTTPS_PROXY, ALL_PROXY", package="httpx[socks]") from error
        except (ValueError, httpx.InvalidURL) as error:
            raise BadProxy from error

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, *, etag: str | None = None, **params: object) -> Reply:
        """Return the JSON of an address such as `/v1/plans/63.02-2025`, without the parameters that are None.

        With an `etag` the reply may be 304, without content.
        """
        return self._request(path, params, etag)

    def _request(self, path: str, params: Mapping[str, object], etag: str | None = None) -> Reply:
        url = self.base_url + path
        attempts = Attempts(self.patience, url)
        query = {name: str(value) for name, value in params.items() if value is not None}
        headers = {"If-None-Match": etag} if etag else {}
        while True:
            try:
                reply = self._http.get(url, params=query, headers=headers)
                if reply.status_code == 304:
                    return Reply(304, None, etag)
                if reply.status_code == 200:
                    return Reply(200, reply.json(), reply.headers.get("ETag"))
            except TRANSFER_ERRORS as cut:
                attempts.wait_or_raise(describe_error(cut))
            except ValueError:
                attempts.wait_or_raise(_UNREADABLE)
            else:
                wait_for_retry(reply, attempts)

    def pages(self, path: str, **params: object) -> Iterator[dict[str, object]]:
        """Yield every item of a list, page by page."""
        after = None
        while True:
            page = self._request(path, {"limit": 500, "after": after, **params}).content
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def changes(
        self, after: str | None = None, *, region: str | None = None, limit: int = 200
    ) -> Iterator[FeedReply]:
        """Yield the pages of the feed after a cursor, at least one, up to the end of the feed.

        `after="now"` yields an empty page with the current cursor. Raises Refused with status 410 if the feed no
        longer reaches back to the cursor.
        """
        more = True
        while more:
            page = self.change_page(after, region=region, limit=limit)
            assert page is not None
            yield page
            after, more = page.next, page.more

    def change_page(
        self, after: str | None, *, region: str | None = None, etag: str | None = None, limit: int = 200
    ) -> FeedReply | None:
        """Return one page of the feed. Returns None if it still has the ETag `etag`."""
        reply = self.get("/v1/changes", etag=etag, after=after, region=region, limit=limit)
        if reply.status == 304:
            return None
        page = reply.content
        return FeedReply(page["items"], page["next"], page["more"], reply.etag)

    def digests(self, period: str, *, region: str | None = None) -> dict[str, Any]:
        """Return rows and hashes of a quarter's lines by plan and agency, as `/v1/digests/{period}` has them."""
        content: dict[str, object] = self.get(f"/v1/digests/{period}", region=region).content
        return content

    def pull(
        self,
        period: str,
        folder: Path | str = ".",
        *,
        region: str | None = None,
        format: str = "ndjson",
        since_last: bool = False,
        shown: ShowProgress | None = None,
    ) -> Pulled:
        """Pull a quarter into a file of a folder. The file appears under its name only complete and checked.

        An interrupted pull resumes, even after the death of this process. `since_last` leaves the file alone if
        nothing has changed since the last pull. `shown(done, total)` gets the bytes received so far.
        """
        return run_pull(
            self, PullTarget(period, region, format, Path(folder)), since_last=since_last, shown=shown
        )

    @contextmanager
    def stream(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """Yield the streaming reply of one attempt, of any status, without retries."""
        with self._http.stream("GET", self.base_url + path, params=params, headers=headers) as reply:
            yield reply


def _is_address(text: str) -> bool:
    """Return whether a text is an http(s) address without credentials, query or fragment."""
    try:
        parts, url = urlsplit(text), httpx.URL(text)
        host, _ = url.host.encode("idna"), parts.port
    except (ValueError, httpx.InvalidURL):
        return False
    is_plain = not (url.query or url.userinfo or url.fragment)
    return is_plain and parts.scheme in ("http", "https") and bool(_HOST.fullmatch(host))
