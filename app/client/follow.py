"""Synchronisation of a copy with the feed (docs/webhooks.md, "Read the feed").

An entry of the feed only names an address, which the follower reads again, so pages are idempotent. One transaction of
the copy writes the resources of a page and the cursor behind it. If a page needs many reads (at the start, after a 410,
when a plan becomes visible), the transaction only queues them; the follower resumes at the queue after a crash.
"""

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .copy import Copy, StoredResource, dump_compact
from .problems import Refused, Unreachable
from .service import FeedReply, Rata

MAX_SINGLE_READS = 20
"""Number of changed actions of a plan up to which the follower reads each; for more it reads the plan's lists."""


class ResourceKind(NamedTuple):
    """A kind of resource in the copy."""

    name: str
    pattern: re.Pattern[str]
    """Pattern of its addresses below /v1/."""
    omitted: frozenset[str]
    """Fields that the copy omits: they depend on the caller or the clock, or are missing in the list."""


def _build_kind(name: str, pattern: str, *apart: str) -> ResourceKind:
    return ResourceKind(name, re.compile(pattern), frozenset(apart))


KINDS = {
    kind.name: kind
    for kind in (
        _build_kind("plan", r"(plans/[^/]+)", "allowed"),
        _build_kind("action", r"((plans/[^/]+)/actions/[^/]+)", "allowed", "findings", "notes"),
        _build_kind("progress", r"((plans/[^/]+)/actions/[^/]+)/progress/[^/]+", "allowed", "findings"),
        _build_kind("agency", r"(regions/[^/]+/agencies)/[^/]+", "allowed"),
        _build_kind("meeting", r"(regions/[^/]+)/meetings/[^/]+", "allowed"),
        _build_kind("commitment", r"(regions/[^/]+)/commitments/[^/]+", "allowed", "overdue", "days_overdue"),
        _build_kind("target", r"(regions/[^/]+)/indicators/[^/]+/targets/[^/]+", "allowed"),
    )
}
#: Lists with a filter by region, with the address of each item.
_OF_REGIONS: dict[str, tuple[str, str]] = {
    "plan": ("/v1/plans", "plans/{plan}"),
    "meeting": ("/v1/meetings", "regions/{region_code}/meetings/{code}"),
    "commitment": ("/v1/commitments", "regions/{region_code}/commitments/{code}"),
    "target": ("/v1/targets", "regions/{region_code}/indicators/{indicator}/targets/{year}"),
}
_LEVELS_WITH_AGENCIES = ("province", "regency")


class Difference(NamedTuple):
    """An address at which a copy differs from the service: `missing`, `surplus` or `other`."""

    address: str
    what: str


class FollowCounts(NamedTuple):
    """Counts of a run."""

    changes: int
    """Entries of the feed."""
    read: int
    """Resources read."""
    gone: int


class Follower:
    """A copy with its service."""

    def __init__(
        self,
        service: Rata,
        copy: Copy,
        *,
        region: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._service, self._copy, self._region = service, copy, region
        self._key = (service.base_url, region or "")
        self._progress = progress or (lambda address: None)
        self._etag: str | None = None
        self._changes = self._read = self._gone = 0

    def run(self, *, pause: float, failed: Callable[[Unreachable], None]) -> None:
        """Follow for ever, with a pause in seconds. Passes Unreachable to `failed` and goes on."""
        while True:
            try:
                self.catch_up()
            except Unreachable as error:
                failed(error)
            time.sleep(pause)

    def catch_up(self) -> FollowCounts:
        """Apply the feed up to now."""
        self._changes = self._read = self._gone = 0
        cursor = self._copy.cursor(*self._key)
        if cursor is None:
            cursor = self._begin(None)
        more = True
        while more:
            self._read_pending()
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
        return FollowCounts(self._changes, self._read, self._gone)

    # Reads by lists

    def _begin(self, before: str | None) -> str:
        """Store a new cursor and queue all regions. The feed from that cursor covers changes during the reads."""
        (page,) = self._service.changes("now", region=self._region)
        with self._copy.step(*self._key, before, page.next) as step:
            step.queue_reads(self._list_roots())
        return page.next

    def _list_roots(self) -> list[str]:
        if self._region is not None:
            return [f"regions/{self._region}"]
        memberships = self._service.get("/v1/me").content["memberships"]
        return [f"regions/{code}" for code in {m["region_code"] for m in memberships}]

    def _read_pending(self) -> None:
        while (address := self._copy.pending()) is not None:
            self._progress(address)
            is_plan = address.startswith("plans/")
            if not is_plan and not address.endswith("/agencies"):
                self._read_region(address)
                continue
            kinds = ["plan", "action", "progress"] if is_plan else ["agency"]
            resources = list(self._read_plan(address) if is_plan else self._read_agencies(address))
            with self._copy.take_pending(address) as step:
                step.put(resources)
                step.delete_others([resource.address for resource in resources], kinds, below=address)
            self._read += len(resources)

    def _read_region(self, address: str) -> None:
        region = address.partition("/")[2]
        resources = [item for name in _OF_REGIONS for item in self._read_list_of_region(name, region)]
        plans = [resource for resource in resources if resource.kind == "plan"]
        places = self._list_regions_with_agencies(region)
        with self._copy.take_pending(address) as step:
            # the copy gets a plan only together with its actions
            step.put(resource for resource in resources if resource.kind != "plan")
            step.delete_others([resource.address for resource in resources], _OF_REGIONS, region=region)
            step.queue_reads([plan.address for plan in plans])
            step.queue_reads(f"regions/{place}/agencies" for place in places)
        self._read += len(resources)

    def _list_regions_with_agencies(self, region: str) -> list[str]:
        within = None if region == "0" else region
        return [
            item["code"]
            for level in _LEVELS_WITH_AGENCIES
            for item in self._read_items("/v1/regions", within=within, level=level)
        ]

    def _read_list_of_region(self, name: str, region: str) -> Iterator[StoredResource]:
        path, address = _OF_REGIONS[name]
        for item in self._read_items(path, region=region):
            yield _build_resource(KINDS[name], address.format_map(item), item)

    def _read_agencies(self, address: str) -> Iterator[StoredResource]:
        for item in self._read_items(f"/v1/{address}"):
            yield _build_resource(KINDS["agency"], f"{address}/{item['code']}", item)

    def _read_plan(self, address: str) -> Iterator[StoredResource]:
        """Yield a plan with its actions and reports, from its lists. Yields nothing if it is gone."""
        plan = self._read_resource(address)
        if plan is None:
            return
        yield plan
        for item in self._read_items(f"/v1/{address}/actions"):
            yield _build_resource(KINDS["action"], f"{address}/actions/{item['code']}", item)
        for quarter in (1, 2, 3, 4):
            for item in self._read_items(f"/v1/{address}/progress/{plan.body['year']}-Q{quarter}"):
                yield _build_report(item)

    def _read_items(self, path: str, **params: object) -> Iterator[dict[str, Any]]:
        """Yield the items of a list. Yields nothing if the list is gone or not visible."""
        try:
            yield from self._service.pages(path, **params)
        except Refused as refused:
            if not refused.is_missing:
                raise

    def _read_resource(self, address: str) -> StoredResource | None:
        """Return a resource in its current version. Returns None if it is gone."""
        kind = find_kind(address)
        assert kind is not None
        try:
            body = self._service.get(f"/v1/{address}").content
        except Refused as refused:
            if not refused.is_missing:
                raise
            return None
        return _build_resource(kind, address, body)

    # Pages

    def _apply(self, before: str, page: FeedReply) -> None:
        reads = _Reads(self._region)
        for item in page.items:
            reads.add(item, self._copy)
        results = {address: self._read_resource(address) for address in sorted(reads.single)}
        resources = [resource for resource in results.values() if resource is not None]
        gone = [address for address, resource in results.items() if resource is None]
        # figures of an action depend on its reports, and of a report on its action
        actions = [resource.address for resource in resources if resource.kind == "action"]
        for address in actions:
            resources += [_build_report(item) for item in self._read_items(f"/v1/{address}/progress")]
        for region in sorted(reads.counted):
            resources += self._read_list_of_region("meeting", region)
        with self._copy.step(*self._key, before, page.next) as step:
            for address in gone:
                step.drop(address)
            step.put(resources)
            for address in actions:
                kept = [r.address for r in resources if r.address.startswith(f"{address}/")]
                step.delete_others(kept, ["progress"], below=address)
            step.queue_reads(sorted(reads.whole))
        self._changes += len(page.items)
        self._read += len(resources)
        self._gone += len(gone)

    # Verification

    def verify(self, period: str) -> list[Difference]:
        """Return the differences between copy and service in the plans of a quarter's year.

        Reads only the plans with another digest than the service's. (The digest of a frozen quarter is of its snapshot,
        from which the plan may have moved on.)
        """
        self.catch_up()
        plans = self._find_unequal_plans(period)
        differences = self._find_differences(plans)
        if differences:  # perhaps only a write since the copy caught up
            self.catch_up()
            differences = self._find_differences(plans)
        return differences

    def _find_unequal_plans(self, period: str) -> list[str]:
        digests = {f"plans/{plan['plan']}": plan for plan in self._read_digests(period)}
        year = int(period[:4])
        local = {plan.address for plan in self._copy.resources("plan") if plan.body["year"] == year}
        fields = self._read_fields()
        return sorted(
            address
            for address in digests.keys() | local
            if address not in digests
            or address not in local
            or self._hash_plan(address, period, fields)
            != (digests[address]["rows"], digests[address]["sha256"])
        )

    def _read_digests(self, period: str) -> list[dict[str, object]]:
        try:
            plans: list[dict[str, object]] = self._service.digests(period, region=self._region)["plans"]
        except Refused as refused:
            if not refused.is_missing:
                raise
            return []
        return plans

    def _read_fields(self) -> list[frozenset[str]]:
        """Return the fields of a line in a pull, of its report, and of an earlier report that counts."""
        shapes = self._service.get("/openapi.json").content["components"]["schemas"]
        names = ("PullLine", "SnapshotReport", "CarriedReport")
        return [frozenset(shapes.get(name, {}).get("properties", ())) for name in names]

    def _hash_plan(self, address: str, period: str, shapes: Iterable[frozenset[str]]) -> tuple[int, str]:
        """Return the number and the SHA-256 of a plan's lines in the copy, in the order and form of a pull."""
        line, report, earlier = shapes
        reports: dict[object, dict[str, object]] = {}
        carried: dict[object, dict[str, object]] = {}
        for resource in self._copy.resources("progress", below=address):  # by line and quarter
            body = resource.body
            if str(body["period"]) < period:
                carried[body["action"]] = {name: value for name, value in body.items() if name in earlier}
            elif body["period"] == period:
                reports[body["action"]] = {name: value for name, value in body.items() if name in report}
        digest, rows = hashlib.sha256(), 0
        for action in self._copy.resources("action", below=address):
            code, plan = action.body["code"], action.body["plan"]
            fields = {name: value for name, value in action.body.items() if name in line and name != "plan"}
            fields = {"region_code": action.region_code, "plan": plan, **fields, "action": code}
            fields |= {"report": reports.get(code)}
            if earlier:  # else a service of the first release
                fields |= {"carried": None if code in reports else carried.get(code)}
            digest.update(f"{dump_compact(fields)}\n".encode())
            rows += 1
        return rows, digest.hexdigest()

    def _find_differences(self, plans: Iterable[str]) -> list[Difference]:
        return [difference for address in plans for difference in self._compare_plan(address)]

    def _compare_plan(self, address: str) -> list[Difference]:
        remote = {resource.address: resource for resource in self._read_plan(address)}
        local = {resource.address: resource for resource in self._copy.resources(below=address)}
        differences = [Difference(key, "missing") for key in remote.keys() - local.keys()]
        differences += [Difference(key, "surplus") for key in local.keys() - remote.keys()]
        common = remote.keys() & local.keys()
        differences += [Difference(key, "other") for key in common if remote[key] != local[key]]
        return sorted(differences)


class _Reads:
    """The addresses that the follower must read after a page of the feed."""

    def __init__(self, region: str | None) -> None:
        self._region = region
        self.single: set[str] = set()
        """Addresses to read one by one."""
        self.whole: set[str] = set()
        """Addresses to queue for reads by lists."""
        self.counted: set[str] = set()
        """Regions with changed commitments, which their meetings count."""
        self._actions: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, item: dict[str, Any], copy: Copy) -> None:
        subject: str = item["subject"]
        if item["kind"] == "scope.changed":
            # a change of a region above the followed one concerns only the followed one
            is_above = self._region is not None and not f"{item['region_code']}.".startswith(
                f"{self._region}."
            )
            self.whole.add(f"regions/{self._region if is_above else item['region_code']}")
            return
        kind = find_kind(subject)
        if kind is None:
            return
        if not subject.startswith("plans/"):
            self.single.add(subject)
            if kind.name == "commitment":
                self.counted.add(item["region_code"])
            return
        plan = "/".join(subject.split("/")[:2])
        # a plan that is new to the copy or comes into force may have lines without an entry in the feed
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
        match = kind.pattern.fullmatch(subject)
        assert match is not None
        self._actions[plan].add(match[1])
        self.single |= {match[1]}
        if len(self._actions[plan]) > MAX_SINGLE_READS:
            self.whole.add(plan)
            self.single -= self._actions[plan]


def find_kind(address: str) -> ResourceKind | None:
    """Return the kind of an address. Returns None if the copy omits such resources."""
    return next((kind for kind in KINDS.values() if kind.pattern.fullmatch(address)), None)


def _build_resource(kind: ResourceKind, address: str, body: dict[str, Any]) -> StoredResource:
    kept = {name: value for name, value in body.items() if name not in kind.omitted}
    region = kept.get("region_code") or kept["plan"].rpartition("-")[0]
    return StoredResource(kind.name, address, region, kept["version"], kept)


def _build_report(item: dict[str, object]) -> StoredResource:
    address = f"plans/{item['plan']}/actions/{item['action']}/progress/{item['period']}"
    return _build_resource(KINDS["progress"], address, item)


def format_differences(differences: Iterable[Difference]) -> str:
    """Format differences as lines of text."""
    return "\n".join(f"{difference.what}\t/v1/{difference.address}" for difference in differences)
