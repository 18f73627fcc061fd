"""Sentences for people: every template in both languages, in words alone."""

import pytest

from app.kit.wording import Text, declare_words
from tests.sentences import find_faults, find_faulty_templates


def test_no_template_names_a_code_or_speaks_english_in_indonesian() -> None:
    assert find_faulty_templates() == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Rencana berkeadaan frozen",
        "isi accept_missing",
        "lihat /v1/plans",
        "tidak sesuai pola ^[a-z]+$",
        "kirim JSON",
    ],
)
def test_faults_are_found(sentence: str) -> None:
    assert find_faults(sentence, "id")


def test_words_of_the_client_are_no_fault() -> None:
    assert find_faults("“first_year” tidak dikenal", "id") == []


def test_a_code_appears_as_its_words() -> None:
    text = Text("{state}: {verb:right}", "{state}: {verb:right}")
    assert text.render("id", {"state": ["families", "63.02"], "verb": "submit"}) == (
        "keluarga, 63.02: mengajukan rencana"
    )


def test_a_code_has_one_wording() -> None:
    with pytest.raises(ValueError, match="families"):
        declare_words({"families": Text("rumah", "houses")})


def test_documentation_shows_names_without_forms() -> None:
    text = Text("Rencana {plan} {verb:passive}", "Plan {plan} {verb:passive}")
    assert text.strip_forms() == ("Rencana {plan} {verb}", "Plan {plan} {verb}")


def test_words_of_the_client_are_shown_as_sent() -> None:
    """A parameter or a name can be spelt like a code."""
    text = Text("parameter “{parameter}”, {state}", "parameter “{parameter}”, {state}")
    values = {"parameter": "retired", "state": "retired"}
    assert text.render("id", values) == "parameter “retired”, tidak aktif"
