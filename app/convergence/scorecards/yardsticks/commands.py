"""Commands that settle yardsticks: once, at the freeze of the last plan or after the closing day."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session

from app.convergence.editions.methods.queries import EDITIONS
from app.convergence.editions.queries import read_choices
from app.convergence.scorecards.yardsticks.models import Yardstick
from app.convergence.scorecards.yardsticks.queries import (
    is_settled,
    list_unsettled,
    read_settlement,
    yardsticks,
)
from app.convergence.scorecards.yardsticks.rules import CHAIN, choose_yardstick, format_yardstick_subject
from app.kit.database.engine import Database
from app.kit.database.journal import Author, Chain, Entry, append, lock_chain


def settle_yardstick(session: Session, author: Author, province: str, period: str) -> None:
    """Settle the yardstick of a province's quarter if that is due; a settled one stays unchanged.

    A freeze calls it after it has stored its scorecard, under the lock of its plan's chain. The lock of the province
    comes after it: of two last freezes the second one reads the scorecard of the first.
    """
    chain = lock_chain(session, f"{CHAIN}{province}")
    if is_settled(session, province, period):
        return
    settlement = read_settlement(session, province, period, author.at)
    if not settlement.is_due:
        return
    edition = read_choices(session, EDITIONS, [province], int(period[:4]))[province].method
    store_yardstick(session, author, chain, period, choose_yardstick(settlement.plans, edition))


def store_yardstick(session: Session, author: Author, chain: Chain, period: str, chosen: Yardstick) -> None:
    """Store the yardstick of the province whose chain the caller has locked."""
    province = chain.name.removeprefix(CHAIN)
    row = {**chosen.model_dump(mode="json"), "settled_at": author.at}
    session.execute(sa.insert(yardsticks).values(**row, region_code=province, period=period))
    subject = format_yardstick_subject(province, period)
    append(session, chain, author, [Entry.of("yardstick", province, subject, 1, None, row)])


def settle_due(database: Database, now: datetime) -> None:
    """Settle each yardstick that frozen scorecards wait for and whose quarter has closed."""
    with database.read_session() as session:
        due = [key for key in list_unsettled(session) if read_settlement(session, *key, now).is_due]
    for province, period in due:
        with database.writing() as session:
            settle_yardstick(session, Author("deliver", now), province, period)
