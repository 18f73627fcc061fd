"""Layout of the matrix for the reader of tables."""

from collections.abc import Collection

from app.exchange.matrix.codes import MOST_PARTS
from app.exchange.matrix.columns import (
    BY_KEY,
    CODE_PARTS,
    COLUMNS,
    GROUP_VARIANTS,
    PLANNING,
    QUARTERS,
    STAGE_LABELS,
    Holds,
)
from app.kit.tables.layouts import TableField, TableLayout, fold_heading

_MONEY = (Holds.RUPIAH, Holds.CHANGE, Holds.COMPONENTS, Holds.BENEFIT_AMOUNT, Holds.SOURCES)
LAYOUT = TableLayout(
    [
        TableField(
            column.key,
            column.labels,
            (column.group, *GROUP_VARIANTS[column.group]) if column.group else (),
            # Of targets there are quarters too.
            needs_group=column in QUARTERS,
            is_required=column.required,
            substitute=column.substitute,
            is_money=column.holds in _MONEY,
            doubtful=column.doubtful,
            beside_group=("Total", "Jumlah") if column.key == "spent_total" else (),
            beside="recipients" if column.holds is Holds.UNIT else None,
            parts=CODE_PARTS if column.holds is Holds.CODE else (),
            most_parts=MOST_PARTS if column.holds is Holds.CODE else 0,
        )
        for column in BY_KEY.values()
    ],
    # Fewer known labels than this are a coincidence, not a header.
    fewest=5,
    order=[column.key for column in COLUMNS],
    lengths=(len(PLANNING), len(COLUMNS)),
)

_STAGES = {fold_heading(label): stage for stage, labels in STAGE_LABELS.items() for label in labels}


def find_stage(headings: Collection[str]) -> str | None:
    """Return the stage of budgeting that a folded heading of the allocation names, None if it names none."""
    return next((_STAGES[heading] for heading in headings if heading in _STAGES), None)
