"""Keeping a copy true by the feed (docs/integrating.md, "Keeping a copy true").

A change only says where to look: what it names is read anew, so that it is no matter how often a page comes or how
far the service is ahead of it. What a page leads to, and the cursor behind it, are one transaction of the copy.
Where much is to be read (at the beginning, after 410, when a plan comes into view), the transaction only notes
it; it is then read plan by plan, each a transaction of its own, and whoever is killed goes on with the plan at which
it was.
"""

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .copy import Copy, Resource, compact
from .problems import Refused, Unreachable
from .service import ChangePage, Rata

FEW = 20
"""Actions of a plan that are read one by one; where more changed, its lists are."""


class Kind(NamedTuple):
    """A noun that is kept."""

    name: str
    pattern: re.Pattern[str]
    """Of its addresses below /v1/."""
    apart: frozenset[str]
    """Fields that are not kept: of the caller, of the clock, or shown by the resource alone and not by its list."""


def _kind(name: str, pattern: str, *apart: str) -> Kind:
    return Kind(name, re.compile(pattern), frozenset(apart))


KINDS = {
    kind.name: kind
    for kind in (
        _kind("plan", r"(plans/[^/]+)", "allowed"),
        _kind("action", r"((plans/[^/]+)/actions/[^/]+)", "allowed", "findings", "notes"),
        _kind("progress", r"((plans/[^/]+)/actions/[^/]+)/progress/[^/]+", "allowed", "findings"),
        _kind("agency", r"(regions/[^/]+/agencies)/[^/]+", "allowed"),
        _kind("meeting", r"(regions/[^/]+)/meetings/[^/]+", "allowed"),
        _kind("commitment", r"(regions/[^/]+)/commitments/[^/]+", "allowed", "overdue", "days_overdue"),
        _kind("target", r"(regions/[^/]+)/indicators/[^/]+/targets/[^/]+", "allowed"),
    )
}
#: Lists of a region and all below it, and the address of each item.
_OF_REGIONS: dict[str, tuple[str, str]] = {
    "plan": ("/v1/plans", "plans/{plan}"),
    "meeting": ("/v1/meetings", "regions/{region_code}/meetings/{code}"),
    "commitment": ("/v1/commitments", "regions/{region_code}/commitments/{code}"),
    "target": ("/v1/targets", "regions/{region_code}/indicators/{indicator}/targets/{year}"),
}
_LEVELS_WITH_AGENCIES = ("province", "regency")


class Difference(NamedTuple):
    """Where a copy is not what the service has: `missing`, `surplus` or `other`."""

    address: str
    what: str


class Followed(NamedTuple):
    """What a run did."""

    changes: int
    """Entries of the feed."""
    read: int
    """Resources that were read anew."""
    gone: int


class Follower:
    """A copy and the service that it is of."""

    def __init__(
        self,
        service: Rata,
        copy: Copy,
        *,
        region: str | None = None,
        told: Callable[[str], None] | None = None,
    ) -> None:
        self._service, self._copy, self._region = service, copy, region
        self._key = (service.base_url, region or "")
        self._told = told or (lambda address: None)
        self._etag: str | None = None
        self._changes = self._read = self._gone = 0

    def run(self, *, pause: float, failed: Callable[[Unreachable], None]) -> None:
        """Follow for ever; a service that cannot be reached for a while is told, and asked again."""
        while True:
            try:
                self.catch_up()
            except Unreachable as error:
                failed(error)
            time.sleep(pause)

    def catch_up(self) -> Followed:
        """Everything up to now."""
        self._changes = self._read = self._gone = 0
        cursor = self._copy.cursor(*self._key)
        if cursor is None:
            cursor = self._begin(None)
        more = True
        while more:
            self._read_what_is_noted()
            try:
                page = self._service.change_page(cursor, region=self._region, etag=self._etag)
            except Refused as refused:
                if refused.status != 410:
                    raise
                cursor, self._etag = self._begin(cursor), None
                continue
            if page is None:
                break
            if page.next != cursor:
                self._apply(cursor, page)
            cursor, more, self._etag = page.next, page.more, page.etag
            more = more or self._copy.pending() is not None
        return Followed(self._changes, self._read, self._gone)

    # Reading whole

    def _begin(self, before: str | None) -> str:
        """Take a new cursor and note that all is to be read. From the cursor on, nothing is missed."""
        (page,) = self._service.changes("now", region=self._region)
        with self._copy.step(*self._key, before, page.next) as step:
            step.read_whole(self._roots())
        return page.next

    def _roots(self) -> list[str]:
        """The regions that are followed: the one that was named, or those of the token's memberships."""
        if self._region is not None:
            return [f"regions/{self._region}"]
        memberships = self._service.get("/v1/me").content["memberships"]
        return [f"regions/{code}" for code in {one["region_code"] for one in memberships}]

    def _read_what_is_noted(self) -> None:
        while (address := self._copy.pending()) is not None:
            self._told(address)
            is_plan = address.startswith("plans/")
            if not is_plan and not address.endswith("/agencies"):
                self._read_region(address)
                continue
            kinds = ["plan", "action", "progress"] if is_plan else ["agency"]
            found = list(self._plan(address) if is_plan else self._agencies(address))
            with self._copy.settled(address) as step:
                step.put(found)
                step.drop_but([one.address for one in found], kinds, below=address)
            self._read += len(found)

    def _read_region(self, address: str) -> None:
        """What lists of regions show, and what is then to be read plan by plan and region by region."""
        region = address.partition("/")[2]
        found = [one for name in _OF_REGIONS for one in self._of_regions(name, region)]
        plans = [one for one in found if one.kind == "plan"]
        places = self._with_agencies(region)
        with self._copy.settled(address) as step:
            # a plan is there only with what hangs on it
            step.put(one for one in found if one.kind != "plan")
            step.drop_but([one.address for one in found], _OF_REGIONS, region=region)
            step.read_whole([one.address for one in plans])
            step.read_whole(f"regions/{place}/agencies" for place in places)
        self._read += len(found)

    def _with_agencies(self, region: str) -> list[str]:
        within = None if region == "0" else region
        return [
            one["code"]
            for level in _LEVELS_WITH_AGENCIES
            for one in self._list("/v1/regions", within=within, level=level)
        ]

    def _of_regions(self, name: str, region: str) -> Iterator[Resource]:
        path, address = _OF_REGIONS[name]
        for item in self._list(path, region=region):
            yield _resource(KINDS[name], address.format_map(item), item)

    def _agencies(self, address: str) -> Iterator[Resource]:
        for item in self._list(f"/v1/{address}"):
            yield _resource(KINDS["agency"], f"{address}/{item['code']}", item)

    def _plan(self, address: str) -> Iterator[Resource]:
        """A plan with its actions and reports, by its lists; nothing where it is gone."""
        plan = self._one(address)
        if plan is None:
            return
        yield plan
        for item in self._list(f"/v1/{address}/actions"):
            yield _resource(KINDS["action"], f"{address}/actions/{item['code']}", item)
        for quarter in (1, 2, 3, 4):
            for item in self._list(f"/v1/{address}/progress/{plan.body['year']}-Q{quarter}"):
                yield _report(item)

    def _list(self, path: str, **params: object) -> Iterator[dict[str, Any]]:
        """The items of a list; none where there is nothing to be seen."""
        try:
            yield from self._service.pages(path, **params)
        except Refused as refused:
            if not refused.is_missing:
                raise

    def _one(self, address: str) -> Resource | None:
        """A resource as it is now; None: it is gone."""
        kind = kind_of(address)
        assert kind is not None
        try:
            body = self._service.get(f"/v1/{address}").content
        except Refused as refused:
            if not refused.is_missing:
                raise
            return None
        return _resource(kind, address, body)

    # A page

    def _apply(self, before: str, page: ChangePage) -> None:
        """Read what a page names, and put it into the copy with the cursor behind it."""
        named = _Named(self._region)
        for item in page.items:
            named.add(item, self._copy)
        single = {address: self._one(address) for address in sorted(named.single)}
        found = [one for one in single.values() if one is not None]
        gone = [address for address, one in single.items() if one is None]
        # an action and its reports show figures of one another
        actions = [one.address for one in found if one.kind == "action"]
        for address in actions:
            found += [_report(item) for item in self._list(f"/v1/{address}/progress")]
        for region in sorted(named.counted):
            found += self._of_regions("meeting", region)
        with self._copy.step(*self._key, before, page.next) as step:
            for address in gone:
                step.drop(address)
            step.put(found)
            for address in actions:
                kept = [one.address for one in found if one.address.startswith(f"{address}/")]
                step.drop_but(kept, ["progress"], below=address)
            step.read_whole(sorted(named.whole))
        self._changes += len(page.items)
        self._read += len(found)
        self._gone += len(gone)

    # Whether it is the same

    def verify(self, period: str) -> list[Difference]:
        """Where the copy's plans of a quarter's year are not what the service has.

        The service's digests tell for each plan at once; only one whose digest is another is read. (A frozen quarter
        has the digest of what was frozen, which need not be in force any more.)
        """
        self.catch_up()
        wrong = self._unequal(period)
        found = [one for address in wrong for one in self._differences(address)]
        if found:  # or somebody wrote between the copy and the look at it
            self.catch_up()
            found = [one for address in wrong for one in self._differences(address)]
        return found

    def _unequal(self, period: str) -> list[str]:
        """Addresses of the plans whose lines do not have the digest that the service tells."""
        told = {f"plans/{one['plan']}": one for one in self._digests(period)}
        here = {one.address for one in self._copy.resources("plan") if one.body["year"] == int(period[:4])}
        line, report = self._forms()
        return sorted(
            address
            for address in told.keys() | here
            if address not in told
            or address not in here
            or self._digest(address, period, line, report) != (told[address]["rows"], told[address]["sha256"])
        )

    def _digests(self, period: str) -> list[dict[str, object]]:
        try:
            found: list[dict[str, object]] = self._service.digests(period, region=self._region)["plans"]
        except Refused as refused:
            if not refused.is_missing:
                raise
            return []
        return found

    def _forms(self) -> tuple[frozenset[str], frozenset[str]]:
        """The fields of a pull's line and of its report, as the service declares them."""
        shapes = self._service.get("/openapi.json").content["components"]["schemas"]
        return frozenset(shapes["PullLine"]["properties"]), frozenset(shapes["SnapshotReport"]["properties"])

    def _digest(
        self, address: str, period: str, line: frozenset[str], report: frozenset[str]
    ) -> tuple[int, str]:
        """Rows and SHA-256 of a plan's lines as a pull of the service would have them, in the order of what is kept."""
        reports = {
            one.body["action"]: {name: value for name, value in one.body.items() if name in report}
            for one in self._copy.resources("progress", below=address)
            if one.body["period"] == period
        }
        digest, rows = hashlib.sha256(), 0
        for one in self._copy.resources("action", below=address):
            code, plan = one.body["code"], one.body["plan"]
            told = {name: value for name, value in one.body.items() if name in line and name != "plan"}
            told = {"region_code": one.region_code, "plan": plan, **told, "action": code}
            digest.update(f"{compact({**told, 'report': reports.get(code)})}\n".encode())
            rows += 1
        return rows, digest.hexdigest()

    def _differences(self, address: str) -> list[Difference]:
        """A plan of the copy beside the service's, read by its lists."""
        there = {one.address: one for one in self._plan(address)}
        here = {one.address: one for one in self._copy.resources(below=address)}
        found = [Difference(one, "missing") for one in there.keys() - here.keys()]
        found += [Difference(one, "surplus") for one in here.keys() - there.keys()]
        found += [Difference(one, "other") for one in there.keys() & here.keys() if there[one] != here[one]]
        return sorted(found)


class _Named:
    """What a page of the feed says that is to be read."""

    def __init__(self, region: str | None) -> None:
        self._region = region
        self.single: set[str] = set()
        """One by one."""
        self.whole: set[str] = set()
        """By lists, after the page."""
        self.counted: set[str] = set()
        """Regions whose meetings count their commitments."""
        self._actions: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, item: dict[str, Any], copy: Copy) -> None:
        subject: str = item["subject"]
        if item["kind"] == "scope.changed":
            # of a region above the one that is followed, only that one matters
            is_above = self._region is not None and not f"{item['region_code']}.".startswith(
                f"{self._region}."
            )
            self.whole.add(f"regions/{self._region if is_above else item['region_code']}")
            return
        kind = kind_of(subject)
        if kind is None:
            return
        if not subject.startswith("plans/"):
            self.single.add(subject)
            if kind.name == "commitment":
                self.counted.add(item["region_code"])
            return
        plan = "/".join(subject.split("/")[:2])
        # what was never seen, or comes into force, may bring lines of which no change was ever told
        if (
            plan in self.whole
            or item["kind"] == "plan.adopted"
            or not (plan in self.single or copy.has(plan))
        ):
            self.whole.add(plan)
            return
        self.single.add(plan)
        if kind.name == "plan":
            return
        found = kind.pattern.fullmatch(subject)
        assert found is not None
        self._actions[plan].add(found[1])
        self.single |= {found[1]}
        if len(self._actions[plan]) > FEW:
            self.whole.add(plan)
            self.single -= self._actions[plan]


def kind_of(address: str) -> Kind | None:
    """The kind of what an address names; None: it is not kept."""
    return next((kind for kind in KINDS.values() if kind.pattern.fullmatch(address)), None)


def _resource(kind: Kind, address: str, body: dict[str, Any]) -> Resource:
    kept = {name: value for name, value in body.items() if name not in kind.apart}
    region = kept.get("region_code") or kept["plan"].rpartition("-")[0]
    return Resource(kind.name, address, region, kept["version"], kept)


def _report(item: dict[str, object]) -> Resource:
    address = f"plans/{item['plan']}/actions/{item['action']}/progress/{item['period']}"
    return _resource(KINDS["progress"], address, item)


def differing(found: Iterable[Difference]) -> str:
    """Differences as lines of text."""
    return "\n".join(f"{one.what}\t/v1/{one.address}" for one in found)
