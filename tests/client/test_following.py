"""A copy kept by the feed equals the service, even after kills at any instant."""

import ast
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.access.commands import Write
from app.access.models import Role, TokenIn, TokenScope
from app.access.rules import CONSOLE, Grant
from app.access.tokens import create_token
from app.changes.rules import FeedPosition, encode_cursor
from app.client import AlreadyRunning, Misused, Patience, Rata, Refused, Unreachable, Unwritable
from app.client.copy import Copy
from app.client.follow import KINDS, Follower, find_kind
from app.kit.database.journal import Author
from tests.client.world import Served, client_of, run_command
from tests.meetings.world import COMMITMENT, MEETING
from tests.plans.world import ANY, LEAN
from tests.postgres import worker_database
from tests.test_cli import ROOT, environment
from tests.year.world import Regency

pytestmark = pytest.mark.one_engine

KILLS = 5
TARGET = {"value": 3.9, "baseline": 4.56, "baseline_year": 2021}
PLAN = "63.02-2026"
AT = f"/v1/plans/{PLAN}"


@pytest.fixture
def at_work(served: Served) -> Iterator[httpx.Client]:
    """The secretariat of a regency whose plan has three lines."""
    with served.writer() as writer:
        if writer.get(AT).status_code == 404:
            send(writer, "PUT", AT, {"title": "RAT"})
        put(writer, "A-1", "A-2", "A-3")
        yield writer


@pytest.fixture
def token(served: Served) -> str:
    return served.token(("reviewer", "63"))


@pytest.fixture
def rata(served: Served, token: str) -> Iterator[Rata]:
    with client_of(served, token) as client:
        yield client


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    copy = Copy(str(tmp_path / "copy.db"))
    yield copy
    copy.close()


def send(client: httpx.Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    done = client.request(method, path, json=body, headers=headers)
    assert done.status_code in (200, 201, 204), (path, done.text)
    return done


def put(client: httpx.Client, *codes: str, **changes: Any) -> None:
    items = [{**LEAN, "code": code, **changes} for code in codes]
    send(client, "PUT", f"{AT}/actions", {"items": items}, **ANY)


def source(rata: Rata, region: str = "63") -> dict[str, Any]:
    """Read the service's resources by address, without the follower."""
    resources: dict[str, Any] = {}
    for plan in rata.pages("/v1/plans", region=region):
        at = f"plans/{plan['plan']}"
        resources[at] = plan
        for action in rata.pages(f"/v1/{at}/actions"):
            resources[f"{at}/actions/{action['code']}"] = action
        for quarter in (1, 2, 3, 4):
            for report in rata.pages(f"/v1/{at}/progress/{plan['year']}-Q{quarter}"):
                resources[f"{at}/actions/{report['action']}/progress/{report['period']}"] = report
    for place in rata.pages("/v1/regions", within=None if region == "0" else region):
        if place["level"] in ("province", "regency"):
            at = f"regions/{place['code']}/agencies"
            with suppress(Refused):  # out of sight
                resources |= {f"{at}/{item['code']}": item for item in rata.pages(f"/v1/{at}")}
    for noun in ("meetings", "commitments"):
        for item in rata.pages(f"/v1/{noun}", region=region):
            content = {name: value for name, value in item.items() if name not in ("overdue", "days_overdue")}
            resources[f"regions/{item['region_code']}/{noun}/{item['code']}"] = content
    for item in rata.pages("/v1/targets", region=region):
        resources[f"regions/{item['region_code']}/indicators/{item['indicator']}/targets/{item['year']}"] = (
            item
        )
    return resources


def kept(copy: Copy) -> dict[str, Any]:
    return {resource.address: resource.body for resource in copy.resources()}


def test_a_copy_equals_the_service_after_every_change(
    rata: Rata, at_work: httpx.Client, served: Served, copy: Copy
) -> None:
    follower = Follower(rata, copy, region="63")
    first = follower.catch_up()
    assert kept(copy) == source(rata)
    assert (first.changes, first.read > 4, copy.pending()) == (0, True, None)
    assert follower.catch_up() == (0, 0, 0)

    report, home = f"{AT}/actions/A-1/progress/2026-Q2", "/v1/regions/63.02"
    commitment = {**COMMITMENT, "meeting": "R-1"}
    steps = [
        lambda: send(at_work, "PUT", report, {"spent": 40}),
        lambda: put(at_work, "A-1", allocation=300, budget_lines=[{"funding_source": "APBD", "amount": 300}]),
        lambda: put(at_work, *[f"B-{n}" for n in range(30)]),  # more than the follower reads one by one
        lambda: send(at_work, "PATCH", AT, {"title": "Lain"}, **ANY),
        lambda: send(at_work, "DELETE", report, **ANY),
        lambda: send(at_work, "DELETE", f"{AT}/actions/A-2", **ANY),
        lambda: send(at_work, "PUT", "/v1/plans/63.02-2027", {"title": "RAT 2027"}),
        lambda: send(at_work, "PUT", "/v1/plans/63.02-2027/actions/X", LEAN),
        lambda: send(at_work, "PUT", f"{home}/agencies/SWASTA", {"name": "Swasta", "kind": "business"}),
        lambda: send(at_work, "PUT", f"{home}/meetings/R-1", MEETING),
        lambda: send(at_work, "PUT", f"{home}/commitments/K-1", commitment),
        lambda: send(at_work, "PUT", f"{home}/indicators/p0/targets/2026", TARGET),
    ]
    for number, step in enumerate(steps):
        step()
        if number % 6 == 5:
            follower.catch_up()
            assert kept(copy) == source(rata), number
    assert {resource.kind for resource in copy.resources()} == KINDS.keys() - {"progress"}
    send(at_work, "DELETE", "/v1/plans/63.02-2027/actions/X", **ANY)
    send(at_work, "DELETE", "/v1/plans/63.02-2027", **ANY)
    assert follower.catch_up().gone == 2
    assert kept(copy) == source(rata)
    assert follower._find_unequal_plans("2026-Q2") == []  # the digests alone show it
    assert follower.verify("2026-Q2") == []


def test_a_year_of_a_regency_followed_without_drafts(served: Served, copy: Copy) -> None:
    """Adopted, reported, frozen, amended: a plan becomes visible with lines that the feed never listed."""
    with ExitStack() as opened:

        def connect(*roles: Any) -> Any:
            return opened.enter_context(served.writer(*roles))

        regency = Regency(connect, "63.02", 3, connect(("reviewer", "63")))
        rata = opened.enter_context(client_of(served, served.token(("reader", "63"))))
        follower = Follower(rata, copy, region="63")
        follower.catch_up()
        regency.send(regency.team, "PUT", regency.plan, {"title": "RAT"})
        regency.put_lines(regency.lines)
        for step in (regency.adopt_it, lambda: regency.report(1), regency.amend_it):
            step()
            follower.catch_up()
        assert kept(copy) == source(rata)
        assert len(list(copy.resources("progress"))) == 3
        # the digest of a frozen quarter covers the frozen figures; the reader compares those in force itself
        assert follower._find_unequal_plans("2025-Q1") == [regency.plan.removeprefix("/v1/")]
        assert follower.verify("2025-Q1") == []


def test_the_copy_gains_and_loses_regions_with_the_scope(
    served: Served, at_work: httpx.Client, copy: Copy
) -> None:
    principal = f"salinan-{time.monotonic_ns()}"

    def token(*roles: tuple[str, str]) -> str:
        now = datetime.now(UTC)
        with served.database.writing() as session:
            return create_token(
                Write(session, Author("test", now), CONSOLE),
                name=f"{principal}-{'-'.join(region for _, region in roles)}",
                principal=principal,
                grants=[Grant(Role(role), region, None) for role, region in roles],
                content=TokenIn(scopes=list(TokenScope), expires_at=now + timedelta(days=1)),
            )

    with client_of(served, token(("reviewer", "63"))) as rata:
        follower = Follower(rata, copy)
        follower.catch_up()
        assert AT.removeprefix("/v1/") in kept(copy)
        token(("reviewer", "63.03"))
        follower.catch_up()
        assert kept(copy) == source(rata, "0")
        assert AT.removeprefix("/v1/") not in kept(copy)
        token(("reviewer", "63"), ("reader", "73.22"))
        follower.catch_up()
        assert kept(copy) == source(rata, "0")
        assert AT.removeprefix("/v1/") in kept(copy)


def test_a_follower_with_a_lost_cursor_reads_everything_again(
    rata: Rata, at_work: httpx.Client, tmp_path: Path
) -> None:
    copy = Copy(str(tmp_path / "copy.db"))
    follower = Follower(rata, copy, region="63")
    follower.catch_up()
    # the cursor of a backup restored since
    gone = encode_cursor(FeedPosition(f"plan:{PLAN}", 10**6, "f" * 16), ["63", []])
    with sqlite3.connect(tmp_path / "copy.db") as connection:
        connection.execute("UPDATE cursor SET value = ?", (gone,))
        connection.execute("UPDATE resource SET address = address || 'x' WHERE kind IN ('action', 'agency')")
        connection.execute("UPDATE resource SET body = '{}' WHERE kind = 'plan'")
    connection.close()
    follower.catch_up()
    assert kept(copy) == source(rata)
    copy.close()


def test_verifying_finds_what_differs(rata: Rata, token: str, at_work: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    copy = Copy(str(path))
    follower = Follower(rata, copy, region="63")
    assert follower.verify("2026-Q1") == []
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM resource WHERE address LIKE '%/A-1'")
        connection.execute("UPDATE resource SET address = address || 'x' WHERE address LIKE '%/A-3'")
    connection.close()
    differences = [(difference.what, difference.address) for difference in follower.verify("2026-Q1")]
    assert differences == [
        ("missing", f"plans/{PLAN}/actions/A-1"),
        ("missing", f"plans/{PLAN}/actions/A-3"),
        ("surplus", f"plans/{PLAN}/actions/A-3x"),
    ]
    copy.close()
    settings = {"RATA_SERVER": rata.base_url, "RATA_TOKEN": token}
    words = ["follow", str(path), "--region", "63", "--verify", "2026-Q1", "--lang", "en"]
    ended = run_command(*words, **settings)
    assert (ended.exit_code, "not the same" in ended.stderr) == (5, True)
    assert f"surplus\t/v1/plans/{PLAN}/actions/A-3x\n" in ended.stdout
    other = run_command("follow", path, "--once", **settings, LANG=None, LC_ALL=None)
    assert (other.exit_code, "wilayah 63" in other.stderr) == (2, True)


def test_the_follower_reports_an_unreachable_service_and_retries(copy: Copy) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")

    exit_codes: list[int] = []

    def failed(error: Unreachable) -> None:
        exit_codes.append(error.exit_code)
        if len(exit_codes) == 3:
            raise KeyboardInterrupt

    transport = httpx.MockTransport(away)
    with (
        Rata("https://rata.example", "rata_x", patience=Patience(total=0), transport=transport) as rata,
        pytest.raises(KeyboardInterrupt),
    ):
        Follower(rata, copy).run(pause=0, failed=failed)
    assert exit_codes == [4, 4, 4]


def test_a_proxy_that_says_404_deletes_nothing(copy: Copy) -> None:
    """Only a 404 of the service itself deletes a resource."""
    plan = {"plan": "63.02-2026", "region_code": "63.02", "year": 2026, "version": 1}
    listed = {
        "/v1/changes": {"items": [], "next": "a", "more": False},
        "/v1/plans": {"items": [plan], "next": None},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        items = listed.get(request.url.path)
        return httpx.Response(404, text="nginx") if items is None else httpx.Response(200, json=items)

    transport = httpx.MockTransport(answer)
    with (
        Rata("https://rata.example", "rata_x", transport=transport) as rata,
        pytest.raises(Refused, match="404"),
    ):
        Follower(rata, copy, region="63").catch_up()
    assert copy.pending() == "regions/63"


def test_a_copy_has_one_follower_and_one_source(rata: Rata, at_work: httpx.Client, tmp_path: Path) -> None:
    path = str(tmp_path / "copy.db")
    copy, other = Copy(path), Copy(path)
    Follower(rata, copy, region="63").catch_up()
    with pytest.raises(Misused, match="63"):
        Follower(rata, copy, region="63.02").catch_up()
    cursor = copy.cursor(rata.base_url, "63")
    with copy.step(rata.base_url, "63", cursor, "ahead"):
        pass
    with pytest.raises(AlreadyRunning), other.step(rata.base_url, "63", cursor, "behind"):
        pass
    with pytest.raises(AlreadyRunning), other.take_pending("regions/63"):
        pass
    with (
        pytest.raises(AlreadyRunning),
        other.step(rata.base_url, "73", None, "x"),
        copy.step("x", "y", None, "z"),
    ):
        pass
    copy.close()
    other.close()
    with pytest.raises(Unwritable):
        Copy(str(tmp_path / "no" / "copy.db"))
    for url in ("nothing://x", "://"):
        with pytest.raises(Misused):
            Copy(url)


def test_a_copy_needs_an_empty_database_of_any_kind(
    served: Served, rata: Rata, at_work: httpx.Client, tmp_path: Path
) -> None:
    own = served.database.url.render_as_string(hide_password=False)
    before = sa.inspect(served.database.engine).get_table_names()
    with pytest.raises(Misused, match="is not a copy"):
        Copy(own)
    assert sa.inspect(served.database.engine).get_table_names() == before
    with nullcontext(f"sqlite:///{tmp_path}/x.db") if served.database.is_sqlite else worker_database() as url:
        with closing(Copy(url)) as copy:
            follower = Follower(rata, copy, region="63.02")
            follower.catch_up()
            put(at_work, "A-9")
            follower.catch_up()
            assert kept(copy).keys() == {address for address in source(rata, "63.02") if "63.02" in address}
        with closing(Copy(url)) as copy:
            assert kept(copy)


def test_lists_and_single_resources_have_the_same_shapes(root: Path) -> None:
    """A copy keeps the shape of the list, so it does not depend on the way a resource came."""
    document = json.loads((root / "openapi" / "rata.v1.json").read_bytes())
    lists = {
        "plan": ("/v1/plans", "/v1/plans/{plan}"),
        "action": ("/v1/plans/{plan}/actions", "/v1/plans/{plan}/actions/{action}"),
        "progress": (
            "/v1/plans/{plan}/progress/{period}",
            "/v1/plans/{plan}/actions/{action}/progress/{period}",
        ),
        "agency": ("/v1/regions/{region}/agencies", "/v1/regions/{region}/agencies/{agency}"),
        "meeting": ("/v1/meetings", "/v1/regions/{region}/meetings/{meeting}"),
        "commitment": ("/v1/commitments", "/v1/regions/{region}/commitments/{commitment}"),
        "target": ("/v1/targets", "/v1/regions/{region}/indicators/{indicator}/targets/{year}"),
    }
    assert lists.keys() == KINDS.keys()

    def fields(path: str) -> dict[str, Any]:
        reply = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        schema: dict[str, Any] = document["components"]["schemas"][reply["$ref"].rpartition("/")[2]][
            "properties"
        ]
        return schema

    for name, (many, single) in lists.items():
        item = fields(many)["items"]["items"]["$ref"].rpartition("/")[2]
        shown = document["components"]["schemas"][item]["properties"].keys()
        assert fields(single).keys() - KINDS[name].omitted == shown - KINDS[name].omitted, name
        assert find_kind(single.removeprefix("/v1/").replace("{", "").replace("}", "")) is KINDS[name]


# Kills


def test_a_follower_killed_at_any_instant_ends_equal_to_the_source(
    served: Served, token: str, at_work: httpx.Client, rata: Rata, tmp_path: Path
) -> None:
    follow_and_kill(served, token, rata, tmp_path, KILLS)


def follow_and_kill(served: Served, token: str, rata: Rata, folder: Path, kills: int) -> None:
    """Kill a follower repeatedly during writes, then let one finish and compare its copy with the source."""
    done = threading.Event()

    def write() -> None:
        chance = random.Random(2)
        with served.writer() as writer:
            while not done.is_set():
                code = f"K-{chance.randrange(40)}"
                if chance.random() < 0.2:
                    writer.delete(f"{AT}/actions/{code}", headers=ANY)
                elif chance.random() < 0.1:
                    put(writer, *[f"K-{n}" for n in range(30)], note=str(chance.random()))
                else:
                    put(writer, code, note=str(chance.random()))
                time.sleep(0.03)

    path = folder / "copy.db"
    settings = environment(RATA_SERVER=served.url, RATA_TOKEN=token)
    writing = threading.Thread(target=write)
    writing.start()
    chance = random.Random(4)
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen(
            [sys.executable, "-c", _FOLLOW, str(path)],
            cwd=ROOT,
            env=settings,
            stdin=pipe,
            stdout=pipe,
            text=True,
        ) as starter:
            assert starter.stdin is not None
            assert starter.stdout is not None
            for _ in range(kills):
                starter.stdin.write("go\n")
                starter.stdin.flush()
                follower = int(starter.stdout.readline())
                time.sleep(0.3 * chance.random() ** 2)  # mostly while it works
                os.kill(follower, signal.SIGKILL)
                assert starter.stdout.readline() == f"{signal.SIGKILL.value}\n"
    finally:
        done.set()
        writing.join()
    words = ["follow", str(path), "--region", "63", "--once"]
    settings = {"RATA_SERVER": served.url, "RATA_TOKEN": token}
    ended = run_command(*words, **settings)
    assert ended.exit_code == 0, ended.stderr
    copy = Copy(str(path))
    assert kept(copy) == source(rata)
    copy.close()
    verified = run_command(*words[:-1], "--verify", "2026-Q2", **settings)
    assert verified.exit_code == 0, verified.stderr


#: For each line it reads it forks a process that follows, prints its id and its exit. Python is loaded once.
_FOLLOW = """
import os, sys
from app.client import cli, copy, follow
sys.argv = ["rata", "follow", sys.argv[1], "--region", "63", "--pause", "1"]
for _ in sys.stdin:
    process = os.fork()
    if not process:
        cli.main()
    print(process, flush=True)
    print(os.waitpid(process, 0)[1], flush=True)
"""


def test_the_client_imports_its_declared_dependencies_alone(root: Path) -> None:
    """The client's folder is also a package of its own, with no more than its declared dependencies."""
    folder = root / "app" / "client"
    trees = [ast.parse(file.read_text()) for file in folder.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {node.level for node in imports} == {0, 1}
    modules = {node.module or "" for node in imports if not node.level}
    modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^a-z0-9]", requirement)[0] for requirement in project["dependencies"]}
    assert {module.partition(".")[0] for module in modules} - sys.stdlib_module_names == declared
