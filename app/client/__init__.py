"""The client of a Rata service: pulls of quarters, copies kept by the feed. Imports nothing else of `app`.

from app.client import Rata

with Rata("https://rata.example", token) as rata:
    done = rata.pull("2026-Q2", "/srv/rat", region="73", format="parquet")
"""

from app.client.files import Manifest, Pulled
from app.client.problems import (
    AlreadyRunning,
    Misused,
    RataError,
    Refused,
    Unreachable,
    Unwritable,
    WrongContent,
)
from app.client.service import ChangePage, Rata, Reply
from app.client.waiting import Patience

__all__ = [
    "AlreadyRunning",
    "ChangePage",
    "Manifest",
    "Misused",
    "Patience",
    "Pulled",
    "Rata",
    "RataError",
    "Refused",
    "Reply",
    "Unreachable",
    "Unwritable",
    "WrongContent",
]
