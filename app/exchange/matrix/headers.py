"""Layout of the matrix for the reader of tables."""

from app.exchange.matrix.models import COLUMNS, GROUP_VARIANTS, PLANNING, QUARTERS, Holds
from app.kit.tables.layouts import TableField, TableLayout

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
            is_money=column.holds in _MONEY,
        )
        for column in (*COLUMNS, *QUARTERS)
    ],
    # Fewer known labels than this are a coincidence, not a header.
    fewest=5,
    order=[column.key for column in COLUMNS],
    lengths=(len(PLANNING), len(COLUMNS)),
)
