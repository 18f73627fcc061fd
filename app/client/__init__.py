"""The client of a Rata service: pulls of quarters, and copies that follow the feed. Imports nothing else of `app`.

The package is `rata_client` if pip installs it alone, and `app.client` with the service.

from rata_client import Rata

with Rata("https://rata.example", token) as rata:
    done = rata.pull("2026-Q2", "/srv/rat", region="73", format="parquet")
"""

from .files import Manifest, Pulled
from .problems import AlreadyRunning, Misused, RataError, Refused, Unreachable, Unwritable, WrongContent
from .retry import Patience
from .service import FeedReply, Rata, Reply

__all__ = [
    "AlreadyRunning",
    "FeedReply",
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
