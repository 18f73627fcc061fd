"""`python -m tests.fuzz`: Schemathesis against a running service, as each caller on each engine; ends with a
table, and with code 1 where anything failed.

The seed is printed: the same one, with the same minutes, asks the same of the same world, as far as time allows.
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
from tests.fuzz.rules import CALLERS, PHASES, configuration, schema_of
from tests.fuzz.serving import engine
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
    asked = parser.parse_args(arguments)
    seconds = round(asked.minutes * 60 / len(asked.engines) / len(asked.callers))
    CONSOLE.print(f"Seed {asked.seed}; {seconds} s for each caller and engine.")
    tallies: dict[tuple[str, str], Tally] = {}
    with tempfile.TemporaryDirectory(prefix="rata-fuzz-") as folder:
        for name in asked.engines:
            with engine(name, Path(folder)) as copies:
                for caller in asked.callers:
                    with copies.serve(f"{name}_{caller}") as address:
                        tallies[name, caller] = ask(
                            caller, copies.made.tokens[caller], address, seconds, asked.seed, asked.phases
                        )
                    tell(f"{caller} on {name}", tallies[name, caller])
    CONSOLE.print(table(tallies))
    return 1 if any(tally.failures for tally in tallies.values()) else 0


def ask(caller: str, token: str, address: str, seconds: int, seed: int, phases: Sequence[str]) -> Tally:
    """Half of the time along the links: in one run with the others they would get what these leave."""
    document = shuffled(link_replies(declared()[0]), f"{seed} {caller}")
    parts = [[one for one in phases if one != "stateful"], [one for one in phases if one == "stateful"]]
    whole = Tally()
    for part in filter(None, parts):
        config = configuration(
            token,
            operations(document),
            seed=seed,
            phases=part,
            seconds=seconds // sum(map(bool, parts)),
            address=address,
        )
        run(schema_of(document, config), whole)
    return whole


def shuffled(document: dict[str, Any], seed: str) -> dict[str, Any]:
    """The paths in another order, so that the time that ends does not always leave out the same ones."""
    paths = list(document["paths"].items())
    random.Random(seed).shuffle(paths)
    return {**document, "paths": dict(paths)}


def tell(title: str, tally: Tally) -> None:
    CONSOLE.print(
        f"{title}: {tally.seconds:.0f} s, {tally.requests.total()} requests, {len(tally.failures)} kinds of failure"
    )
    for (operation, wrong), told in sorted(tally.failures.items()):
        CONSOLE.print(f"\n  {operation}: {wrong} (× {tally.counts[operation, wrong]})", markup=False)
        CONSOLE.print("    " + told.replace("\n", "\n    "), markup=False)


def table(tallies: dict[tuple[str, str], Tally]) -> Table:
    whole = len(list(operations(declared()[0])))
    shown = Table(title=f"{whole} operations")
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
        shown.add_column(column, justify="left" if column in ("engine", "caller", "statuses") else "right")
    for (name, caller), tally in tallies.items():
        statuses = " ".join(f"{status}:{count}" for status, count in sorted(tally.statuses.items()))
        reached = [label for label in tally.requests if " /" in label]
        numbers = (tally.requests.total(), tally.followed, len(reached), len(tally.succeeded))
        shown.add_row(name, caller, *map(str, numbers), statuses, str(len(tally.failures)))
    return shown


if __name__ == "__main__":
    sys.exit(main())
