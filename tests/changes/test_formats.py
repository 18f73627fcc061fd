"""The formats of the journal's rows: which cells a hash covers, and values that are blanked."""

import hashlib
import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.changes.rules import ChainEnd, find_first_break
from app.kit.database.journal import compute_digest, derive_key, has_digest, hash_row, list_values

Row = dict[str, Any]

OF_FORMAT_1 = (
    "actor", "at", "chain", "changes", "kind", "position", "reason", "region_code", "request_id", "subject", "version"
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
contents = st.fixed_dictionaries(
    {
        "at": st.datetimes(timezones=st.just(UTC)),
        "actor": texts,
        "kind": texts,
        "region_code": texts,
        "subject": texts,
        "version": st.integers(1, 9),
        "changes": st.dictionaries(texts, st.lists(values, min_size=2, max_size=2), max_size=4),
        "reason": st.none() | texts,
        "request_id": st.none() | texts,
        "is_draft": st.booleans(),
    }
)
positions = st.fixed_dictionaries({"principal": texts, "salt": st.from_regex("[0-9a-f]{64}", fullmatch=True)})
rows_of_format_1 = contents.map(lambda row: {**row, "format": 1, "principal": None, "salt": None})
rows_of_format_2 = st.builds(lambda row, own: {**row, **own, "format": 2}, contents, positions)
chains = st.lists(rows_of_format_1 | rows_of_format_2, min_size=1, max_size=5)


def link(rows: list[Row]) -> list[Row]:
    """Return the rows as a chain: each with its place, and the hash over the one before it."""
    linked: list[Row] = []
    for number, row in enumerate(rows, 1):
        placed = {**row, "chain": "things", "position": number, "sequence": number, "blanked": None}
        before = linked[-1]["hash"] if linked else "0" * 64
        linked.append({**placed, "hash": hash_row(before, placed)})
    return linked


def find_break(rows: list[Row], end: Row) -> int | None:
    broken = find_first_break("things", rows, ChainEnd(end["position"], end["hash"]))
    return broken.position if broken else None


def list_digested(row: Row) -> dict[str, object]:
    """Return the values with a digest, which can be blanked."""
    return {path: value for path, value in list_values(row).items() if has_digest(path, value)}


def blank(row: Row, paths: Collection[str]) -> Row:
    """Return the row without the values at these paths, nor any key that leads to them."""
    stored = list_digested(row)
    keys = {path: derive_key(row["salt"], path) for path in stored}
    digests = {path: compute_digest(keys.pop(path), stored[path]) for path in paths}
    changes = {
        field: [None if f"changes/{field}/{side}" in paths else value for side, value in enumerate(pair)]
        for field, pair in row["changes"].items()
    }
    reason = None if "reason" in paths else row["reason"]
    blanked = {"keys": keys, "digests": digests}
    return {**row, "changes": changes, "reason": reason, "salt": None, "blanked": blanked}


@given(chains)
def test_chains_of_mixed_formats_hold(rows: list[Row]) -> None:
    linked = link(rows)
    assert find_break(linked, linked[-1]) is None


@given(rows_of_format_1)
def test_rows_of_format_1_have_the_hash_that_older_versions_gave_them(row: Row) -> None:
    (linked,) = link([row])
    older = {name: linked[name] for name in OF_FORMAT_1} | {"at": linked["at"].isoformat()}
    body = json.dumps(older, ensure_ascii=False, separators=(",", ":"))
    assert linked["hash"] == hashlib.sha256(f"{'0' * 64}\n{body}".encode()).hexdigest()


def list_changes(row: Row) -> dict[str, list[Any]]:
    """Return other values of every cell that shows, also of another shape."""
    values = row["changes"]
    others: dict[str, list[Any]] = {
        "changes": [{**values, "new": [0, 1]}, None, [], "x", {"a": None}, {"a": "xy"}, {"a": 5}],
        "blanked": [{}, [], "x", {"keys": {}, "digests": {}}, {"keys": None, "digests": None}],
        "at": [datetime(1, 1, 2, tzinfo=UTC), datetime(1, 1, 3, tzinfo=UTC)],
        "version": [row["version"] + 1],
        "position": [row["position"] + 1],
        "format": [3 - row["format"], 3, None],
        "is_draft": [not row["is_draft"]],
        **{
            f"{name}": [f"{row[name] or ''}x", ""]
            for name in ("kind", "region_code", "subject", "chain", "hash")
        },
        **{
            name: [f"{row[name] or ''}x", None, ""]
            for name in ("reason", "request_id", "principal", "salt", "actor")
        },
    }
    if row["format"] == 1:
        del others["is_draft"]
    for field, pair in values.items():
        others["changes"] += [
            {name: value for name, value in values.items() if name != field},
            {**values, field: [*pair, None]},
            {**values, field: pair[:1]},
            *[{**values, field: [*pair[:side], [pair[side]], *pair[side + 1 :]]} for side in (0, 1)],
            {**values, field: pair[::-1]},
        ]
    return {
        name: [value for value in values if not is_same(value, row[name])] for name, values in others.items()
    }


def is_same(one: Any, other: Any) -> bool:
    return json.dumps(one, default=str) == json.dumps(other, default=str)


@given(chains, st.data())
def test_every_changed_cell_is_a_break(rows: list[Row], data: st.DataObject) -> None:
    linked = link(rows)
    place = data.draw(st.integers(0, len(linked) - 1))
    for name, others in list_changes(linked[place]).items():
        for other in others:
            changed = [*linked[:place], {**linked[place], name: other}, *linked[place + 1 :]]
            assert find_break(changed, linked[-1]) == place + 1, (name, other)


@given(st.lists(rows_of_format_2, min_size=1, max_size=3), st.data())
def test_blanked_values_still_verify(rows: list[Row], data: st.DataObject) -> None:
    linked = link(rows)
    drawn = [data.draw(st.sets(st.sampled_from(sorted(list_digested(row))), min_size=1)) for row in linked]
    rest = [blank(row, paths) for row, paths in zip(linked, drawn, strict=True)]
    assert find_break(rest, linked[-1]) is None
    for place, row in enumerate(rest):
        whole = row["blanked"]
        digests, keys = whole["digests"], whole["keys"]
        path, *_ = digests
        wrong: list[tuple[str, object]] = [
            ("salt", linked[place]["salt"]),
            ("blanked", None),
            ("blanked", {**whole, "more": {}}),
            ("blanked", {"keys": keys, "digests": {**digests, path: "0" * 64}}),
            ("blanked", {"keys": keys, "digests": {**digests, "changes/none/0": "0" * 64}}),
            ("blanked", {"keys": {**keys, path: "0" * 64}, "digests": digests}),
            ("blanked", {"keys": keys, "digests": {name: digests[name] for name in [*digests][1:]}}),
        ]
        nulls = list_values(linked[place]).keys() - list_digested(linked[place]).keys()
        wrong += [("blanked", {"keys": keys, "digests": {**digests, name: "0" * 64}}) for name in nulls]
        wrong += [("blanked", {"keys": {**keys, name: "0" * 64}, "digests": digests}) for name in nulls]
        wrong += [("blanked", {"keys": {**keys, name: "0" * 64}, "digests": digests}) for name in keys]
        for name, value in wrong:
            assert (
                find_break([*rest[:place], {**row, name: value}, *rest[place + 1 :]], linked[-1]) == place + 1
            )


somethings = values.filter(lambda value: value is not None)


@given(rows_of_format_2, somethings, somethings)
def test_digests_do_not_change_places(row: Row, old: object, new: object) -> None:
    (linked,) = link([{**row, "changes": {"spent": [old, new]}}])
    rest = blank(linked, ["changes/spent/0", "changes/spent/1"])
    before, after = rest["blanked"]["digests"].values()
    assert before != after, "equal values have unequal digests"
    rest["blanked"]["digests"] = {"changes/spent/0": after, "changes/spent/1": before}
    assert find_break([rest], linked) == 1


@given(rows_of_format_2)
def test_a_value_cannot_come_back_to_a_blanked_place(row: Row) -> None:
    (linked,) = link([{**row, "reason": "sebab"}])
    rest = blank(linked, ["reason"])
    assert find_break([rest], linked) is None
    assert find_break([{**rest, "reason": "sebab"}], linked) == 1


@pytest.mark.parametrize("format", [0, 3, "2", None])
def test_an_unknown_format_is_named(format: object) -> None:
    (linked,) = link([{"at": datetime(2026, 1, 1, tzinfo=UTC), **EMPTY}])
    broken = find_first_break("things", [{**linked, "format": format}], ChainEnd(1, linked["hash"]))
    assert broken is not None
    assert f"does not know its format, {format}" in str(broken)


EMPTY: Row = {
    "actor": "t", "principal": "p", "kind": "thing.created", "region_code": "0", "subject": "things/1", "version": 1,
    "changes": {}, "reason": None, "request_id": None, "is_draft": False, "salt": "0" * 64, "format": 2,
}  # fmt: skip
