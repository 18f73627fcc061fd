"""Faults of sentences for people: `find_faults` finds them, and every sentence of the suite passes through it.

Codes, patterns, paths and states have fields of their own in a reply; a sentence has words. What the client sent stands
in quotation marks (“…”) and is left out of the check.
"""

import re
from collections.abc import Iterator, Mapping

from app.kit.problems import Kind, Problem
from app.kit.wording import Language, Text
from app.plans.findings.kinds import FindingKind

QUOTED = re.compile(r"“[^”]*”")
CODES = {
    "a code": re.compile(r"(?<![\w.-])[a-z]+(?:_[a-z0-9]+)+(?![\w])"),
    "a path": re.compile(r"(?<!\w)/v1/"),
    "a pattern": re.compile(r"\^|\$(?!\w)|\\[dwsA-Z]|\[[a-z0-9A-Z]-[a-z0-9A-Z]"),
    "“JSON”": re.compile(r"\bJSON\b"),
}
ENGLISH = re.compile(
    r"\b(draft|submitted|returned|endorsed|adopted|closed|verified|frozen|correcting|open|retired|merged|active|"
    r"submit|return|endorse|adopt|amend|verify|freeze|correct|chair|reviewer|secretariat|reader|errors|true|"
    r"false|null)\b"
)
"""States, verbs and roles of the contract, which an Indonesian sentence gives in the offices' words."""


def find_faults(text: str, language: Language) -> list[str]:
    """Return what the sentence holds that belongs into a field of its own, or into the other language."""
    plain = QUOTED.sub("“…”", text)
    faults = [f"{name}: {match[0]}" for name, pattern in CODES.items() if (match := pattern.search(plain))]
    if language == "id" and (match := ENGLISH.search(plain)):
        faults.append(f"English: {match[0]}")
    return faults


def hold_sentences() -> None:
    """Let each sentence that the service renders raise where it has a fault, so that its test fails."""
    render = Text.render

    def render_and_check(self: Text, language: Language, values: Mapping[str, object]) -> str:
        text = render(self, language, values)
        if faults := find_faults(text, language):
            raise AssertionError(f"{faults} in: {text}")
        return text

    Text.render = render_and_check  # type: ignore[method-assign]


def list_templates() -> Iterator[tuple[str, Text]]:
    """Yield (code, sentence) of every problem, kind of error and finding."""
    for code, problem in Problem.known.items():
        yield code, problem.title
        yield code, problem.detail
    for code, kind in Kind.known.items():
        yield code, kind.text
    for code, finding in FindingKind.known.items():
        for text in (finding.title, finding.hint, finding.source, *finding.sentences.values()):
            yield code, text


def find_faulty_templates() -> list[tuple[str, str]]:
    """Return (code, fault) of every template with a fault."""
    languages: tuple[Language, ...] = ("id", "en")
    return [
        (code, fault)
        for code, text in list_templates()
        for language in languages
        for fault in find_faults(Text(text[0], text[1]).render(language, {}), language)
    ]
