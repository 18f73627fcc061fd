"""Any action survives its export as a matrix and the import. Without a database."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app.exchange.matrix.cells import CodeNames, make_line
from app.exchange.matrix.imports.rules import ResolvedLine, Subactivity, merge_content
from app.exchange.matrix.rows import join_lines
from app.exchange.matrix.rules import read_matrix
from app.exchange.matrix.writing import make_matrix_csv, make_matrix_xlsx
from app.plans.actions.models import ActionIn
from tests.exchange.test_amending import FULL

# Signs with a meaning for a reader, and others.
TEXT = some.text("ab1 .,;:-–/&+()'=@\n\"5Rpdan%", max_size=12).map(str.strip)
LINE = TEXT.filter(bool)
AMOUNT = some.none() | some.integers(0, 10**12)
SOURCES = ["APBD", "DANA-DESA", "DAK-FISIK", "1.01.01.15"]
NAMES = CodeNames(
    {"1.06.0.00.0.00.08.0000": "Dinas Sosial"},
    {"63.02.05.2007": "Rampa", "63.02.05": "Pulau Sebuku", "63.02": "Kabupaten Kotabaru", "63": "Kalimantan Selatan"},
    {"APBD": "APBD", "DANA-DESA": "Dana Desa", "DAK-FISIK": "Dana Alokasi Khusus Fisik",
     "1.01.01.15": "1.01.01.15 Pajak dan Lain"},
)  # fmt: skip


def draw_items(**fields: Any) -> some.SearchStrategy[list[dict[str, Any]]]:
    return some.lists(some.fixed_dictionaries(fields), max_size=3)


def number_items(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"code": f"X{n}", **item} for n, item in enumerate(items)]


CONTENTS = some.fixed_dictionaries(
    {
        "allocation": some.integers(0, 10**12),
        "components": draw_items(
            component_class=some.sampled_from(["direct", "indirect", "supporting"]), description=TEXT, amount=AMOUNT
        ).map(number_items),
        "budget_lines": some.lists(
            some.fixed_dictionaries({"funding_source": some.sampled_from(SOURCES), "amount": AMOUNT}),
            max_size=3, unique_by=lambda item: item["funding_source"],
        ),
        "recipients": draw_items(
            kind=some.sampled_from(["families", "persons", "groups", "villages", "units"]),
            unit=some.none() | LINE, count=some.none() | some.integers(0, 10**9),
        ).map(number_items),
        "locations": some.lists(some.sampled_from(list(NAMES.regions)), unique=True).map(
            lambda codes: [{"region_code": code} for code in codes]
        ),
        "benefit_regularity": some.sampled_from([None, "routine", "incidental"]),
        "benefit_forms": some.lists(some.sampled_from(["cash", "goods", "service", "subsidy", "access"]), max_size=3),
        "benefit_amount": AMOUNT,
        "benefit_description": TEXT,
        "benefit_months": some.none() | some.integers(1, 12),
        "matrix_texts": some.dictionaries(
            some.sampled_from(["location", "recipients", "regularity", "benefit_form", "duration", "benefit_amount",
                               "allocation", "strategy", "x"]),
            TEXT, max_size=3,
        ),
    }
)  # fmt: skip


@pytest.mark.parametrize("ending", ["xlsx", "csv"])
@given(given_fields=CONTENTS)
@settings(max_examples=75, deadline=None, derandomize=True)
def test_an_action_survives_export_and_import(ending: str, given_fields: dict[str, Any]) -> None:
    whole = {**FULL, "activity": "Kegiatan", "program": "Program", "subactivity": "Sub", **given_fields}
    stored = ActionIn.model_validate(whole).model_dump(mode="json")
    write = make_matrix_xlsx if ending == "xlsx" else make_matrix_csv
    data = write([make_line(stored, NAMES)], ["", ""], realisation=False)
    matrix = read_matrix(data, f"a.{ending}", known_sources=list(NAMES.sources.values()))
    assert matrix.errors == ()
    (line,) = join_lines(matrix.rows)
    same = Subactivity(stored["subactivity_code"], "Sub", "Kegiatan", "Program", None)
    sources = tuple((item["funding_source"], item["amount"]) for item in stored["budget_lines"])
    places = tuple(item["region_code"] for item in stored["locations"])
    assert (
        merge_content(ResolvedLine(line, stored["lead_agency"], same, sources, places), stored, NAMES)
        == stored
    )
