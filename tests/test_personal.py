"""Numbers of persons in texts: what is one, and the codes of the reference data, which are none."""

import csv
import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from app.kit.personal import find_person_number

DATA = Path(app.__file__).parent
SIGNS = [
    " ",
    ".",
    "-",
    "\u00a0",
    "\u2009",
    "\u200b",
    "\u2010",
    "\u2013",
    "\u2014",
    "\u202f",
    "\u2212",
    "\ufeff",
]
#: Groups in which people write NIK, family cards and NIP.
NOTATIONS = [
    (16,),
    (18,),
    (6, 6, 4),
    (4, 4, 4, 4),
    (2, 2, 2, 6, 4),
    (8, 6, 1, 3),
    (8, 6, 4),
    (6, 10),
    (12, 4),
]
_WIDE = {ord("0") + n: 0xFF10 + n for n in range(10)}
ACCOUNT = (1, 1, 2, 2, 2, 4)
AGENCY = (1, 2, 1, 2, 1, 2, 2, 4)
SUBACTIVITY = (1, 2, 2, 1, 2, 4)


def write_code(widths: tuple[int, ...], source: random.Random, sign: str = ".") -> str:
    return sign.join("".join(source.choices("0123456789", k=width)) for width in widths)


@st.composite
def write_numbers(draw: st.DrawFn) -> str:
    """Write the number of a person in a usual notation, between words."""
    widths, sign = draw(st.sampled_from(NOTATIONS)), draw(st.sampled_from(SIGNS))
    digits = st.text("0123456789", min_size=sum(widths), max_size=sum(widths))
    number = draw(digits.filter(lambda text: text[:2] not in ("19", "20")))
    starts = [sum(widths[:n]) for n in range(len(widths))]
    groups = [number[start : start + width] for start, width in zip(starts, widths, strict=True)]
    if draw(st.booleans()):
        groups = [group.translate(_WIDE) for group in groups]
    before, after = draw(
        st.sampled_from([("", ""), ("NIK ", ""), ("Budi (", ")"), ("no.: ", ", RT 2"), ("n", "x")])
    )
    return before + sign.join(groups) + after


@given(write_numbers())
def test_a_number_is_found_in_every_usual_notation(text: str) -> None:
    assert find_person_number(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "7322 0145 0585 0001",
        "732201 450585 0001",
        "73.22.01.45.05.85.0001",
        "19850515 201001 1 001",
        "19850515.201001.1.001",
        "peserta: 1 7322014505850001",
        "peserta: 1.7322014505850001 2.7322014505850002",
        "Rp 7322014505850001",
    ],
)
def test_a_number_beside_other_signs(text: str) -> None:
    assert find_person_number(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "732201450585000",  # 15
        "73220145058500012",  # 17
        "7322014505850001234",  # 19
        "1.06.05.2.02.0006 5.1.02.01.01.0001",
        "5.1.02.01.01.0001 tanggal 12-03-2026",
        "tahun 2021 2022 2023 2024",
        "2021-2022 2023-2024",
        "Rp 1.250.000.000.000.000",
        "1.000.000.000 - 2.000.000",
        "0.30000000000000004",
        "0.1234567890123456",
        "116.2180000000000",
    ],
)
def test_no_number(text: str) -> None:
    assert find_person_number(text) is None


def read_reference() -> Iterator[str]:
    """Yield every value of the data that the service ships."""
    files = [path for path in DATA.rglob("data/*") if path.name.endswith((".csv", ".csv.gz"))]
    assert len(files) > 5
    for path in files:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for row in csv.reader(io.StringIO(data.decode())):
            yield from row


def test_no_text_of_the_reference_data_is_a_number() -> None:
    texts = set(read_reference())
    assert len(texts) > 100_000
    assert [text for text in texts if find_person_number(text)] == []


def test_no_code_is_a_number_alone_or_beside_another() -> None:
    source = random.Random(1)
    for _ in range(5000):
        account, agency, code = (write_code(widths, source) for widths in (ACCOUNT, AGENCY, SUBACTIVITY))
        village = write_code((2, 2, 2, 4), source)
        for text in (
            account,
            agency,
            f"{code}.{account}",
            f"{code} {account}",
            f"{agency} - {code}",
            f"{village}-{village}",
            f"{account} {source.randint(2015, 2035)}",
            f"{village} {source.randint(1, 999)}",
        ):
            assert find_person_number(text) is None, text
