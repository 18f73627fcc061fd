"""Several workers send each hint once; a killed worker's hint is sent again, unchanged."""

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.changes.webhooks.models import WebhookRow
from app.changes.webhooks.worker import LEASE
from app.kit.database.engine import get_table
from tests.forked import python_with_service
from tests.webhooks.conftest import Hook, Place
from tests.webhooks.receiver import Post, Receiver

pytestmark = pytest.mark.both_engines

HOOKS, ROUNDS = 4, 3
PATIENCE = 120


def test_two_workers_at_once_send_each_hint_once(
    place: Place, provincial_administrator: TestClient, receiver: Receiver
) -> None:
    hooks = [Hook(provincial_administrator, f"hook-{n}", f"{receiver.address}/{n}") for n in range(HOOKS)]
    start = threading.Barrier(2)
    workers = [place.worker(threads=threads) for threads in (1, 2)]

    def work(n: int) -> int:
        start.wait()
        return workers[n].send_all_due()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            place.write()
            assert sum(pool.map(work, range(2))) == HOOKS
    posts = receiver.take()
    assert len(posts) == len({post.id for post in posts}) == HOOKS * ROUNDS
    for hook in hooks:
        assert [delivery["state"] for delivery in hook.log] == ["delivered"] * ROUNDS


def test_a_worker_killed_while_it_sends_loses_nothing(place: Place, hook: Hook, receiver: Receiver) -> None:
    came, go_on = threading.Event(), threading.Event()

    def hold(post: Post) -> int:
        came.set()
        go_on.wait(PATIENCE)
        return 204

    receiver.answer = hold
    place.write()
    url = place.database.url.render_as_string(hide_password=False)
    command = [
        python_with_service(),
        "-m",
        "tests.webhooks.worker_process",
        url,
        str(place.settings.secrets_key),
    ]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL) as worker:
        assert came.wait(PATIENCE)
        os.kill(worker.pid, signal.SIGKILL)
    go_on.set()
    (killed,) = receiver.take()
    receiver.answer = lambda post: 204
    place.write()
    assert hook.log[0]["state"] == "pending"
    assert place.worker().send_all_due() == 0
    place.waited = LEASE
    assert place.worker().send_all_due() == 2
    again, new = receiver.take()
    assert (again.id, again.body) == (killed.id, killed.body)
    assert again.read_by(hook.secret)["data"]["next"] == new.read_by(hook.secret)["data"]["after"]
    with place.database.read_session() as session:
        assert session.scalar(sa.select(get_table(WebhookRow).c.leased_by)) is None
