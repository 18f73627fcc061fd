"""`python -m tests.fuzz`: Schemathesis against running services, as each caller on each engine.

It prints a table and exits with 1 after a failure. The printed seed reproduces a run, as far as time allows.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.contract.operations import operations
from tests.contract.world import declared
from tests.fuzz.links import link_replies
from tests.fuzz.rules import CALLERS, PHASES, build_config, load_schema
from tests.fuzz.serving import prepare_engine
from tests.fuzz.tally import Tally, run

CONSOLE = Console(highlight=False, soft_wrap=True, width=150)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="for all callers and engines together")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument(
        "--engines", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"]
    )
    parser.add_argument("--callers", nargs="+", default=list(CALLERS), choices=list(CALLERS))
    parser.add_argument("--phases", nargs="+", default=list(PHASES), choices=PHASES)
    options = parser.parse_args(arguments)
    seconds = round(options.minutes * 60 / len(options.engines) / len(options.callers))
    CONSOLE.print(f"Seed {options.seed}; {seconds} s for each caller and engine.")
    tallies: dict[tuple[str, str], Tally] = {}
    with tempfile.TemporaryDirectory(prefix="rata-fuzz-") as folder:
        for name in options.engines:
            with prepare_engine(name, Path(folder)) as copies:
                for caller in options.callers:
                    with copies.serve(f"{name}_{caller}") as address:
                        tallies[name, caller] = fuzz(
                            caller,
                            copies.world.tokens[caller],
                            address,
                            seconds,
                            options.seed,
                            options.phases,
                        )
                    print_tally(f"{caller} on {name}", tallies[name, caller])
    CONSOLE.print(build_table(tallies))
    return 1 if any(tally.failures for tally in tallies.values()) else 0


def fuzz(caller: str, token: str, address: str, seconds: int, seed: int, phases: Sequence[str]) -> Tally:
    """Fuzz as one caller, half of the time along links: in one run the other phases would leave them little."""
    document = shuffle_paths(link_replies(declared()[0]), f"{seed} {caller}")
    parts = [
        [phase for phase in phases if phase != "stateful"],
        [phase for phase in phases if phase == "stateful"],
    ]
    whole = Tally()
    for part in filter(None, parts):
        config = build_config(
            token,
            operations(document),
            seed=seed,
            phases=part,
            seconds=seconds // sum(map(bool, parts)),
            address=address,
        )
        run(load_schema(document, config), whole)
    return whole


def shuffle_paths(document: dict[str, Any], seed: str) -> dict[str, Any]:
    """Shuffle the paths, so that the end of the time does not always skip the same ones."""
    paths = list(document["paths"].items())
    random.Random(seed).shuffle(paths)
    return {**document, "paths": dict(paths)}


def print_tally(title: str, tally: Tally) -> None:
    CONSOLE.print(
        f"{title}: {tally.seconds:.0f} s, {tally.requests.total()} requests, {len(tally.failures)} kinds of failure"
    )
    for (operation, title), text in sorted(tally.failures.items()):
        CONSOLE.print(f"\n  {operation}: {title} (× {tally.counts[operation, title]})", markup=False)
        CONSOLE.print("    " + text.replace("\n", "\n    "), markup=False)


def build_table(tallies: dict[tuple[str, str], Tally]) -> Table:
    whole = len(list(operations(declared()[0])))
    table = Table(title=f"{whole} operations")
    for column in (
        "engine",
        "caller",
        "requests",
        "by links",
        "operations",
        "answered 2xx",
        "statuses",
        "failures",
    ):
        table.add_column(column, justify="left" if column in ("engine", "caller", "statuses") else "right")
    for (name, caller), tally in tallies.items():
        statuses = " ".join(f"{status}:{count}" for status, count in sorted(tally.statuses.items()))
        reached = [label for label in tally.requests if " /" in label]
        numbers = (tally.requests.total(), tally.followed, len(reached), len(tally.succeeded))
        table.add_row(name, caller, *map(str, numbers), statuses, str(len(tally.failures)))
    return table


if __name__ == "__main__":
    sys.exit(main())
