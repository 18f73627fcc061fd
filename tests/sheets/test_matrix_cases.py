"""Cases of the matrix: each sheet reads to what it means, or the refusal names the cell."""

from typing import Any

import pytest

from tests.exchange.office import Office, find_place, list_places
from tests.sheets.conftest import Send

pytestmark = pytest.mark.one_engine


def read_lines(office: Office) -> list[dict[str, Any]]:
    return [line for _, line in sorted(office.lines().items())]


def list_refusal(reply: Any) -> list[tuple[str, str | None]]:
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid"), reply.text
    return [(error["code"], find_place(error)) for error in reply.json()["errors"]]


def bring(reply: Any) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_a_workbook_that_was_never_calculated_has_no_results(send_case: Send) -> None:
    assert list_refusal(send_case("formulas.xlsx", basis="period")) == [("formula", "K2"), ("formula", "U2")]


def test_codes_that_are_marked_as_text(send_case: Send, office: Office) -> None:
    report = bring(send_case("text_codes.csv"))
    assert [line["subactivity_code"] for line in read_lines(office)] == ["2.17.07.2.01.0018"] * 2
    assert {code for code, _ in list_places(report["warnings"])} == {"other_name"}


@pytest.mark.parametrize(
    ("name", "counts", "warning"),
    [
        ("recipients_01", [(45, "KK", "families")], "read_as_product"),
        ("recipients_02", [(60, "orang", "persons")], "read_as_product"),
        ("recipients_03", [], "unread_recipients"),
        ("recipients_04", [], "unread_recipients"),
        ("recipients_05", [(120, "KK", "families"), (480, "jiwa", "persons")], None),
        ("recipients_06", [], "unread_recipients"),
        ("recipients_07", [(1250, "KPM", "families")], None),
        ("recipients_08", [(30, None, "units")], "unknown_recipient_unit"),
        ("recipients_09", [], "not_recipients"),
    ],
)
def test_recipients(
    send_case: Send, office: Office, name: str, counts: list[tuple[Any, ...]], warning: str | None
) -> None:
    report = bring(send_case(f"{name}.csv"))
    (line,) = read_lines(office)
    assert [(item["count"], item["unit"], item["kind"]) for item in line["recipients"]] == counts
    assert ("recipients" in line["matrix_texts"]) == (not counts)
    assert [code for code, place in list_places(report["warnings"]) if place == "O2"] == [warning] * bool(
        warning
    )


def test_a_fraction_of_a_rupiah(send_case: Send) -> None:
    reply = send_case("fraction_of_a_rupiah.xlsx")
    assert list_refusal(reply) == [("fraction_of_rupiah", "K2")]
    assert reply.json()["errors"][0]["nearest"] == ["725", "725.250"]


def read_spent(office: Office) -> dict[str, int]:
    """Return quarter → the spending of the only line."""
    periods = [f"2026-Q{n}" for n in range(1, 5)]
    pages = {
        period: office.client.get(f"{office.url}/progress/{period}").json()["items"] for period in periods
    }
    return {period[5:]: items[0]["spent"] for period, items in pages.items() if items}


@pytest.mark.parametrize(
    ("name", "spent", "unknown"),
    [
        ("second_row_unknown_label", {"Q2": 20_000_000, "Q4": 45_000_000}, ["U2"]),
        ("second_row_quarters", {"Q1": 5_000_000, "Q2": 15_000_000, "Q3": 40_000_000, "Q4": 58_000_000}, []),
        ("second_row_physical", {"Q2": 30_000_000}, ["T2"]),
    ],
)
def test_a_second_header_row(
    send_case: Send, office: Office, name: str, spent: dict[str, int], unknown: list[str]
) -> None:
    report = bring(send_case(f"{name}.csv"))
    (line,) = read_lines(office)
    assert [item["amount"] for item in line["components"]] == [45_000_000, 10_000_000, 5_000_000]
    assert read_spent(office) == spent
    assert [place for code, place in list_places(report["warnings"]) if code == "unknown_column"] == unknown
    again = bring(send_case(f"{name}.csv"))
    assert (again["unchanged"], [item["unchanged"] for item in again["progress"]]) == (1, [1] * len(spent))


@pytest.mark.parametrize(
    "name", ["unit_header_1", "unit_header_2", "unit_header_3", "unit_header_4", "unit_title"]
)
def test_a_unit_of_amounts(send_case: Send, office: Office, name: str) -> None:
    report = bring(send_case(f"{name}.csv"))
    (line,) = read_lines(office)
    assert (line["allocation"], line["benefit_amount"]) == (60_000_000, 1_000_000)
    assert ("multiplied", f"K{3 if name == 'unit_title' else 1}") in list_places(report["warnings"])
    times = {"unit_header_2": 1_000_000, "unit_header_4": 1_000_000_000}.get(name, 1_000)
    assert {factor["column"]: factor["times"] for factor in report["factors"]}["K"] == times


@pytest.mark.parametrize(("name", "doubt"), [("hidden_row", "hidden"), ("struck_out_row", "struck")])
def test_a_row_that_is_hidden_or_struck_out(send_case: Send, office: Office, name: str, doubt: str) -> None:
    assert list_refusal(send_case(f"{name}.xlsx")) == [(f"{doubt}_row", "A3")]
    report = bring(send_case(f"{name}.xlsx", **{f"{doubt}_rows": "skip", "dry_run": "true"}))
    assert (report["lines"], report["skipped_rows"]) == (1, [{"reason": doubt, "rows": [3]}])
    assert bring(send_case(f"{name}.xlsx", **{f"{doubt}_rows": "take"}))["lines"] == 2
    assert [line["allocation"] for line in read_lines(office)] == [60_000_000, 75_000_000]


def test_the_same_line_twice(send_case: Send) -> None:
    report = bring(send_case("same_line_twice.csv", dry_run="true"))
    assert (report["lines"], ("repeated_row", "G3") in list_places(report["warnings"])) == (2, True)
    assert bring(send_case("same_line_twice.csv", dry_run="true", repeated_rows="skip"))["lines"] == 1
    assert list_refusal(send_case("same_line_twice.csv", repeated_rows="refuse")) == [("repeated_row", "G3")]


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("budget_heading_1", "rkpd"),
        ("budget_heading_2", None),
        ("budget_heading_3", "apbd"),
        ("budget_heading_4", "apbd_p"),
    ],
)
def test_a_heading_of_the_allocation_names_its_stage(
    send_case: Send, office: Office, name: str, stage: str | None
) -> None:
    bring(send_case(f"{name}.csv"))
    (line,) = read_lines(office)
    assert line["allocation"] == 60_000_000
    assert [(item["amount"], item["stage"]) for item in line["budget_lines"]] == [(60_000_000, stage)]
    assert bring(send_case(f"{name}.csv"))["unchanged"] == 1
    assert office.bring(office.export())["unchanged"] == 1
