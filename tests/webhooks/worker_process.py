"""A worker in a process of its own, for a test to kill: `python -m tests.webhooks.worker_process URL KEY`."""

import sys
import threading

from app.changes.webhooks.rules import Sealer
from app.changes.webhooks.sending import Sender
from app.changes.webhooks.worker import Worker
from app.kit.database.engine import Database

if __name__ == "__main__":
    url, key = sys.argv[1:]
    Worker(Database(url), Sealer([key]), Sender(allow_loopback=True)).run(threading.Event())
