"""The reading of a sheet as text, a line for each fact: what an import of it stores, or why it refuses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx2 as httpx

from tests.exchange.office import Office, find_place
from tests.pages import walk

_PARTS = {
    "components": ("component_class", "description", "amount"),
    "budget_lines": ("funding_source", "amount", "stage"),
    "recipients": ("kind", "unit", "count"),
    "locations": ("region_code",),
}
_FIELDS = ("benefit_amount", "benefit_forms", "benefit_regularity", "benefit_months", "matrix_texts")


def read_plan(office: Office, reply: httpx.Response) -> list[str]:
    """Return the reading of a matrix from the reply to its import and the lines in its plan."""
    facts: list[str] = []
    if reply.status_code == 200:
        agencies = walk(office.client, f"/v1/regions/{office.plan[:5]}/agencies?limit=500")
        facts += [f"agency {item['code']} {item['name']}" for item in agencies]
        spent = _read_spent(office, [item["period"] for item in reply.json().get("progress", ())])
        for code, line in sorted(office.lines().items()):
            facts += _describe_line(line, spent.get(code, {}))
    return describe_reply(reply, facts)


def describe_reply(reply: httpx.Response, facts: Sequence[str]) -> list[str]:
    """Return the reading of a sheet: what its import stored, and what the reply says of cells and columns."""
    body = reply.json()
    result = [f"{reply.status_code} {body.get('code', 'ok')}", *facts]
    for kind in ("errors", "columns", "warnings", "factors", "skipped_rows"):
        result += sorted(f"{kind}: {_describe(item)}" for item in body.get(kind) or ())
    return result


def _read_spent(office: Office, periods: list[str]) -> dict[str, dict[str, int]]:
    spent: dict[str, dict[str, int]] = {}
    for period in periods:
        for item in office.client.get(f"{office.url}/progress/{period}?limit=500").json()["items"]:
            spent.setdefault(item["action"], {})[period] = item["spent"]
    return spent


def _describe_line(line: Mapping[str, Any], spent: Mapping[str, int]) -> Iterator[str]:
    named = line["subactivity_code"] or "–", line["subactivity"] or line["title"]
    yield f"{line['code']} {line['strategy']} {line['lead_agency']} {' '.join(named)}: {line['allocation']}"
    for part, names in _PARTS.items():
        for item in line[part]:
            yield f"  {part}: {' '.join(str(item[name]) for name in names if item[name] is not None)}"
    for name in _FIELDS:
        if line.get(name):
            yield f"  {name}: {line[name]}"
    for period, amount in spent.items():
        yield f"  spent {period}: {amount}"


def _describe(item: Mapping[str, Any]) -> str:
    """Return an error or a warning with its cell, value and candidates, or another entry as it is."""
    if "code" not in item:
        return " ".join(f"{name}={value}" for name, value in item.items())
    near = [candidate["code"] for candidate in item.get("candidates") or ()] or item.get("nearest") or ()
    value = "" if item.get("value") is None else f" “{item['value']}”"
    return f"{find_place(item)} {item['code']}{value}{' → ' if near else ''}{', '.join(near)}"
