"""A service with every kind of row, from the examples of the document, and calls that check each reply."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Self
from zlib import crc32

import sqlalchemy as sa
from anyio.from_thread import start_blocking_portal
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.commands import LastUses
from app.access.models import TokenScope
from app.kit.database.engine import Database
from app.kit.openapi.document import COMMITTED
from app.kit.problems import Kind, Problem
from app.main import create_app
from app.settings import Settings
from app.startup.schema import Table
from tests.calling import Client
from tests.common import token_for
from tests.contract.operations import ADOPTED, AMENDED, FROZEN, Operation, Schemas, operations
from tests.database import OneTransaction, rolled_back
from tests.scorecards.world import settle

OTHER_AGENCY = "2.08.0.00.0.00.05.0000"
#: Leads the amended lines, so that tests can delete the other agencies.
THIRD_AGENCY = "2.07.0.00.0.00.01.0000"
#: A text of the plan and its change in an imported file.
ALTERED = ("Verifikasi data", "Verifikasi ulang data")
OUR_HEADERS = (
    "ETag",
    "Location",
    "Link",
    "Retry-After",
    "X-Request-Id",
    "Idempotency-Replayed",
    "Content-Language",
    "Repr-Digest",
    "Rata-Rows",
    "Rata-Cursor",
    "Accept-Ranges",
    "Content-Range",
    "WWW-Authenticate",
    "RateLimit",
    "RateLimit-Policy",
)

#: A table of observations; the service has another value for one.
TABLE = b"code,year,p0\n63.02,2021,4.57\n63,2021,4.83\n"
#: A table of coverage with other values than the example.
COVERAGE = b"""village_code,target_families,source,source_period,livelihood eligible,livelihood served
63.02.05.2001,141,DTSEN,2026-Q1,96,25
63.02.05.2003,90,DTSEN,2026-Q1,40,0
"""

#: Two points: one of the service, one new.
COORDINATES = b"""region_code,longitude,latitude,source
63.02,116.218,-3.2889,Bappeda
63.02.05.2003,116.31,-3.41,Bappeda
"""

#: Operation → the operations that must precede it in the initial world.
BEFORE: dict[str, Sequence[str]] = {
    "restore_agency": ["retire_agency"],
    "delete_agency": ["delete_commitment", "delete_meeting", "delete_progress", "delete_action"],
    "delete_action": ["delete_commitment", "delete_progress"],
    "delete_plan": ["delete_commitment", "delete_progress", "delete_action"],
    "delete_meeting": ["delete_commitment"],
    "reopen_commitment": ["complete_commitment"],
    "return_plan": ["submit_plan"],
    "endorse_plan": ["submit_plan"],
    "adopt_plan": ["submit_plan", "endorse_plan"],
    "return_quarter": ["submit_quarter"],
    "verify_quarter": ["submit_quarter"],
    "freeze_quarter": ["submit_quarter", "verify_quarter"],
    "correct_quarter": ["submit_quarter", "verify_quarter", "freeze_quarter"],
    "return_quarter_part": ["submit_quarter_part"],
}
#: Operations of other roles than the secretariat.
SECRETARIAT, CHAIR, REVIEWER = ("secretariat", "63.02"), ("chair", "63.02"), ("reviewer", "63")
ADMINISTRATOR, NATION = ("administrator", "63"), ("administrator", "0")
DONE_BY = {
    "submit_plan": CHAIR,
    "return_plan": REVIEWER,
    "endorse_plan": REVIEWER,
    "adopt_plan": CHAIR,
    "close_plan": CHAIR,
    "return_quarter": REVIEWER,
    "verify_quarter": REVIEWER,
    "freeze_quarter": REVIEWER,
    "put_quarter_extension": REVIEWER,
    "delete_quarter_extension": REVIEWER,
    "put_step_grade": REVIEWER,
    "delete_step_grade": REVIEWER,
    **dict.fromkeys(("list_yardsticks", "read_yardstick", "list_yardstick_history"), REVIEWER),
    "put_calendar": NATION,
    "delete_calendar": NATION,
    **dict.fromkeys(
        (
            "put_indicator",
            "put_observations",
            "import_observations",
            "put_observation",
            "delete_observation",
            "put_service_package",
            "put_method",
            "put_region_editions",
            "put_step_template",
            "put_region_step_template",
        ),
        NATION,
    ),
    **dict.fromkeys(("put_coordinates", "delete_coordinates", "import_coordinates"), ADMINISTRATOR),
}


def get_role(operation: Operation) -> tuple[str, str]:
    """Return the role that may call an operation, by default the secretariat."""
    return ADMINISTRATOR if operation.is_of_administrators else DONE_BY.get(operation.id, SECRETARIAT)


#: Keys of all rows of a kind.
KEYS_OF_ALL = (*({"action": f"A-00{n}"} for n in (2, 3, 4)), {"period": "2026-Q3"}, {})


@cache
def declared() -> tuple[dict[str, Any], Schemas]:
    """Return the committed document and validators of its schemas; test_document.py checks that it is current.

    Rendering it takes seconds.
    """
    document = json.loads(COMMITTED.read_bytes())
    return document, Schemas(document)


class World:
    """A service with clients of all roles, and `call`, which checks every reply against the document."""

    turn = (0, 1)
    """The number of this share of a walk's operations, and the count of shares."""

    def __init__(self, base: Database) -> None:
        self.base = base
        key = Fernet.generate_key().decode()
        self.app = create_app(Settings(_env_file=None, database_url="sqlite://", secrets_key=key), base)
        self.document, self.schemas = declared()
        self.app.openapi_schema = self.document
        self.operations = {operation.id: operation for operation in operations(self.document)}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.portal = self._open.enter_context(start_blocking_portal())
        with self._use_database(rolled_back(self.base, keep=True)):
            roles = (SECRETARIAT, ADMINISTRATOR, *DONE_BY.values())
            self.clients = {role: self.connect_as(role) for role in roles}
            self.client = self.clients[SECRETARIAT]
            self._make()
        return self

    @contextmanager
    def _use_database(self, opened: AbstractContextManager[OneTransaction]) -> Iterator[None]:
        with opened as self.database:
            self.app.state.database, self.app.state.last_uses = self.database, LastUses()
            yield

    def begin(self) -> AbstractContextManager[None]:
        """Open a transaction that rolls back to the initial world."""
        return self._use_database(rolled_back(self.base))

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def connect_as(
        self, *roles: Any, scopes: tuple[TokenScope, ...] = tuple(TokenScope), **options: Any
    ) -> TestClient:
        secret = token_for(self.database, *roles, scopes=scopes, **options)
        return self.connect(Authorization=f"Bearer {secret}")

    def get_client(self, operation: Operation) -> TestClient:
        """Return the client with the role that may call an operation."""
        return self.clients[get_role(operation)]

    def connect(self, app: FastAPI | None = None, /, **headers: str) -> TestClient:
        """Return a client; all share one loop, so that a request starts none."""
        return Client(app or self.app, self.portal, headers=headers, in_loop=True)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations.values())

    @property
    def v1(self) -> list[Operation]:
        return [operation for operation in self if operation.is_v1]

    @property
    def writes(self) -> list[Operation]:
        return [operation for operation in self if operation.is_write]

    def share(self, operations: Iterable[Operation]) -> list[Operation]:
        """Return the operations that a walk tries in this world; the engines divide them.

        `make proofs GROUP=contract` tries all of them on each.
        """
        number, count = self.turn
        return [item for item in operations if crc32(item.id.encode()) % count == number]

    def _make(self) -> None:
        """Create two rows for every list."""
        self._make_plans()
        self._make_adopted()
        self._make_other_rows()
        self._make_convergence()
        self._make_webhooks()
        matrix = self.call(self.operations["read_matrix_csv"]).text
        assert ALTERED[0] in matrix
        self.files = {
            "import_plan_matrix": ("matrix.csv", matrix.replace(*ALTERED).encode(), "text/csv"),
            "import_observations": ("table.csv", TABLE, "text/csv"),
            "import_coverage": ("table.csv", COVERAGE, "text/csv"),
            "import_coordinates": ("table.csv", COORDINATES, "text/csv"),
        }
        for content in (matrix.replace(ALTERED[0], "Pemeriksaan data"), matrix):
            done = self.call(
                self.operations["import_plan_matrix"], body={"file": ("matrix.csv", content.encode())}
            )
            assert done.json()["updated"], done.text

    def _make_plans(self) -> None:
        """Create agencies, plans, actions and reports."""
        operations = self.operations
        for agency in (None, OTHER_AGENCY, THIRD_AGENCY):
            self.make("put_agency", **({"agency": agency} if agency else {}))
        empty = {**operations["put_plan"].example, "priority_locations": []}
        self.make("put_plan")
        for plan in (ADOPTED, AMENDED):
            self.make("put_plan", empty, plan=plan)
        for action, agency in (("A-001", {}), ("A-002", {"lead_agency": OTHER_AGENCY})):
            self.make("put_action", {**operations["put_action"].example, **agency}, action=action)
            self.make("put_progress", action=action)
        self.make("put_explanation")
        for action in ("A-003", "A-004"):
            self.make("put_action", action=action)
        self.make("put_progress", period="2026-Q3")

    def _make_adopted(self) -> None:
        """Create a plan in force and one with an open amendment."""
        operations = self.operations
        self.make(
            "put_action", {**operations["put_action"].example, "lead_agency": OTHER_AGENCY}, plan=ADOPTED
        )
        for action in ("A-001", "A-002"):
            line = {**operations["put_action"].example, "lead_agency": THIRD_AGENCY}
            self.make("put_action", line, plan=AMENDED, action=action)
        for plan in (ADOPTED, AMENDED):
            for id in ("submit_plan", "return_plan", "submit_plan", "endorse_plan", "adopt_plan"):
                self.move(id, plan, **({"date": "2024-12-19"} if id == "adopt_plan" else {}))
        self.move("amend_plan", AMENDED)
        self.make("put_amended_action", {**line, "title": "Baru"})

    def _make_other_rows(self) -> None:
        """Create principals, tokens, a frozen quarter with corrections, meetings and commitments."""
        operations = self.operations
        for name in ("dasbor-kotabaru", "laman-kotabaru"):
            self.make("put_principal", principal=name)
        for name in ("dasbor-kotabaru-2026", "dasbor-kotabaru-2027"):
            self.make("put_token", token=name)
        self.make("put_calendar")
        self.make("put_quarter_extension")
        self.make("put_quarter_extension", extension="banjir-agustus")
        frozen = ["submit_quarter", "verify_quarter", "freeze_quarter"]
        for id in [*frozen, "correct_quarter", *frozen, "correct_quarter", *frozen]:
            done = self.call(operations[id], body=operations[id].example, keys={"period": FROZEN})
            assert done.status_code == 200, done.text
        self.make("put_meeting")
        self.make(
            "put_meeting", {**operations["put_meeting"].example, "agencies_present": []}, meeting="R-02"
        )
        self.make("put_commitment")
        alone = {"meeting": None, "responsible_agency": OTHER_AGENCY, "linked_actions": []}
        self.make("put_commitment", {**operations["put_commitment"].example, **alone}, commitment="K-02")

    def _make_convergence(self) -> None:
        for period in ("2021-S1", "2020-S1"):
            self.make("put_observation", period=period)
        for year in ("2026", "2027"):
            self.make("put_target", year=year)
        for village in ("63.02.05.2001", "63.02.05.2002"):
            self.make("put_coverage", village=village)
            self.make("put_coordinates", region=village)
        for id in ("put_service_package", "put_method", "put_step_template", "put_region_step_template"):
            self.make(id)
        for id in ("put_step_evidence", "put_step_grade", "put_coordinates"):
            self.make(id)
        for period in ("2027-Q1", "2027-Q2"):
            settle(self.database, period)

    def _make_webhooks(self) -> None:
        """Create webhooks with secrets and deliveries."""
        for webhook in ("dasbor-kotabaru", "laman-kotabaru"):
            self.make("put_webhook", webhook=webhook)
        for secret in ("2026", "2027"):
            self.make("put_webhook_secret", secret=secret)
        declared = self.operations["list_webhook_deliveries"].response(200)["content"]["application/json"]
        (example,) = declared["example"]["items"]
        at = {name: datetime.fromisoformat(example[name]) for name in ("created_at", "attempted_at")}
        webhooks = Table.metadata.tables["webhook"]
        owner = sa.select(webhooks.c.id).where(webhooks.c.name == "dasbor-kotabaru").scalar_subquery()
        row = {**example, **at, "webhook_id": owner, "first": 0, "last": 1, "place": ["", 0, ""]}
        for id in (example["id"], "msg_0"):
            insert = sa.insert(Table.metadata.tables["webhook_delivery"]).values({**row, "id": id})
            self.database.connection.execute(insert)

    def move(self, id: str, plan: str, **values: str) -> None:
        operation = self.operations[id]
        done = self.call(operation, keys={"plan": plan}, body={**operation.example, **values})
        assert done.status_code == 200, done.text

    def make(self, id: str, body: Any = None, **keys: str) -> Any:
        operation = self.operations[id]
        reply = self.call(
            operation, body=operation.example if body is None else body, keys=keys, conditions={}
        )
        assert reply.status_code == 201, reply.text
        return reply

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Roll back all changes of the block."""
        point = self.database.connection.begin_nested()
        try:
            yield
        finally:
            point.rollback()

    @contextmanager
    def prepare_for(self, operation: Operation) -> Iterator[None]:
        """Make the changes that an operation needs to succeed; roll back after the block."""
        with self.savepoint():
            for id in BEFORE.get(operation.id, ()):
                for keys in KEYS_OF_ALL if "delete" in id else ({},):
                    if keys.keys() <= self.operations[id].keys.keys():
                        self.call(self.operations[id], keys=keys)
            yield

    def call(
        self,
        operation: Operation,
        client: TestClient | None = None,
        *,
        keys: dict[str, str] | None = None,
        body: Any = ...,
        conditions: dict[str, str] | None = None,
        params: Any = None,
        headers: Any = None,
    ) -> Any:
        """Call an operation with its examples, changed for a write, and check the reply against the document.

        The default condition is `If-Match: *`.
        """
        sent = dict(headers or {})
        if operation.is_conditional:
            sent |= {"If-Match": "*"} if conditions is None else conditions
        options: dict[str, Any] = {}
        if operation.takes_json:
            assert operation.body is not None
            sent.setdefault("Content-Type", operation.body[0])
            options["json"] = operation.alter_example() if body is ... else body
        elif operation.body is not None:
            options["files"] = {"file": self.files[operation.id]} if body is ... else body
        reply = (client or self.get_client(operation)).request(
            operation.method.upper(),
            operation.address(**(keys or {})),
            params=params if isinstance(params, list) else {**operation.needed, **(params or {})},
            headers=sent,
            **options,
        )
        self.check(operation, reply)
        return reply

    def check(self, operation: Operation, reply: Any) -> None:
        """Check that the document declares the status, headers and body of a reply."""
        label = f"{operation} → {reply.status_code}"
        assert reply.status_code < 500, f"{label}: {reply.text}"
        declared = operation.response(reply.status_code)
        for name in OUR_HEADERS:
            if name in reply.headers:
                assert name in declared.get("headers", {}), f"{label}: header {name} is not declared"
        assert reply.headers.get("X-Request-Id"), f"{label}: no request id"
        if operation.is_v1 and reply.status_code in (200, 201) and operation.method == "get":
            assert re.fullmatch(r'"[^"]+"', reply.headers["ETag"]), f"{label}: no strong entity tag"
        content = declared.get("content", {})
        if not content:
            assert not reply.content, f"{label}: a body that is not declared"
            return
        kind = reply.headers["Content-Type"].partition(";")[0]
        assert kind in content, f"{label}: {kind} is not declared"
        if "json" in kind:
            texts = reply.content.splitlines() if "ndjson" in kind else [reply.content]
            for text in texts:
                errors = self.schemas.errors(content[kind]["schema"], json.loads(text))
                assert not errors, f"{label}: {errors[:5]}"
        if reply.status_code >= 400:
            check_problem(reply)

    def count_rows(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        return dict(self.database.connection.execute(_build_counts()).one()._mapping)

    def count_journal(self) -> int:
        """Return the number of journal rows."""
        journal = sa.select(sa.func.count()).select_from(Table.metadata.tables["journal"])
        return int(self.database.connection.execute(journal).scalar_one())

    def read_journal(self) -> list[Any]:
        table = Table.metadata.tables["journal"]
        return list(self.database.connection.execute(sa.select(table).order_by(table.c.sequence)))


@cache
def _build_counts() -> sa.Select[Any]:
    counts = {
        name: sa.select(sa.func.count()).select_from(table).scalar_subquery().label(name)
        for name, table in Table.metadata.tables.items()
    }
    return sa.select(*counts.values())


def check_problem(reply: Any) -> None:
    """Check that a reply is a problem with known codes."""
    assert reply.headers["Content-Type"] == "application/problem+json", reply.text
    assert reply.headers["Content-Language"] in ("id", "en")
    problem = reply.json()
    known = Problem.known[problem["code"]]
    assert problem["status"] == reply.status_code == known.status
    assert problem["type"].endswith(f"/problems/{problem['code']}")
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    for error in problem.get("errors", ()):
        assert error["code"] in Kind.known
        places = {"pointer", "parameter", "header", "cell"} & error.keys()
        assert len(places) == 1, f"{error} has {len(places)} places"
