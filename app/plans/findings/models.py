"""Wire shapes of findings and their kinds, and replies to batches."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, SkipValidation
from pydantic import Field as ShapeField
from pydantic.config import JsonDict

from app.kit.batch import ItemOutcome, Status
from app.kit.fields import SOMETIMES, AgencyCode, Batch, Key, show_example
from app.kit.problems import MOST_ERRORS, ErrorShape
from app.kit.wording import Language
from app.plans.actions.examples import ACTION_EXAMPLE
from app.plans.actions.models import ActionItem
from app.plans.findings.kinds import W01, W03, Finding, FindingKind, Resource, Severity
from app.plans.findings.rules import PlacedFinding
from app.plans.findings.thresholds import EDITIONS, Thresholds


class FindingShape(BaseModel):
    """A finding on a line, a report or a plan (domain, section 4): an error to correct or a warning."""

    code: str
    type: str = ShapeField(description="Address that documents the code.")
    severity: Severity
    pointer: str = ShapeField(description="JSON Pointer into the action, the report or the plan.")
    message: str = ShapeField(description="Sentence in the requested language.")
    hint: str = ShapeField(description="Advice in the requested language.")
    values: dict[str, Any] = ShapeField(description="Values that the rule compared.")


_EXAMPLE: JsonDict = {**W01.find_at("/locations").render("id"), "action": "A-001"}


class PlanFinding(FindingShape):
    """A finding with its line and the quarter of its report."""

    action: str | None = ShapeField(
        default=None,
        description="Key of the line; missing if the finding is on the plan itself.",
        json_schema_extra=SOMETIMES,
    )
    period: str | None = ShapeField(
        default=None,
        description="Quarter of the report; missing if the finding is not on a report.",
        json_schema_extra=SOMETIMES,
    )

    model_config = show_example(_EXAMPLE)


def dump_placed(placed: PlacedFinding, language: Language) -> PlanFinding:
    return PlanFinding(**placed.finding.render(language), action=placed.action, period=placed.period)


class FindingCount(BaseModel):
    """The number of findings of one kind."""

    code: str
    severity: Severity
    title: str
    open: int
    explained: int = ShapeField(description="Overlaps with an explanation; `items` omits them.")


class PlanFindings(BaseModel):
    """All findings of a plan."""

    plan: str
    edition: str = ShapeField(description="Edition of the thresholds, as `/findings` lists them.")
    lines: int = ShapeField(description="Number of checked lines.")
    errors: int = ShapeField(description="Open errors of the whole plan, without regard to filters.")
    warnings: int
    counts: list[FindingCount] = ShapeField(description="Numbers by code, of the whole plan, without zeros.")
    left_out: int = ShapeField(
        description="Number of overlaps that `items` omits; the list of overlaps has all."
    )
    items: list[PlanFinding] = ShapeField(
        description="Errors first, by code; within a code, findings on the plan, then by line."
    )

    model_config = show_example(
        plan="63.02-2026",
        edition="1",
        lines=156,
        errors=0,
        warnings=1,
        counts=[{"code": "W01", "severity": "warning", "title": W01.title.id, "open": 1, "explained": 0}],
        left_out=0,
        items=[_EXAMPLE],
    )


class FindingsQuery(BaseModel):
    """Filters of a plan's findings, all required."""

    severity: Severity | None = ShapeField(default=None, description="Only errors or only warnings.")
    code: list[str] = ShapeField(default_factory=list, description="Only these codes.")
    action: Key | None = ShapeField(
        default=None, description="Only findings on this line, with its overlaps."
    )
    agency: AgencyCode | None = ShapeField(
        default=None, description="Only findings on lines that this agency leads."
    )


# Documents


class BothLanguages(BaseModel):
    """A text in Indonesian and English; `{name}` takes a value of the finding."""

    id: str
    en: str


def _dump_kind(kind: FindingKind) -> JsonDict:
    return {
        "code": kind.code,
        "severity": kind.severity,
        "into": list(kind.into),
        "title": kind.title.strip_forms()._asdict(),
        "messages": [text.strip_forms()._asdict() for text in kind.sentences.values()],
        "hint": kind.hint.strip_forms()._asdict(),
        "source": kind.source.strip_forms()._asdict(),
        "thresholds": {
            edition.edition: edition.model_dump(include={*kind.thresholds})
            for edition in EDITIONS
            if kind.thresholds
        },
    }


_MEANING = _dump_kind(W03)


class FindingMeaning(BaseModel):
    """A kind of finding: its sentences, advice and source."""

    code: str
    severity: Severity
    into: list[Resource] = ShapeField(description="Documents into which its pointer points.")
    title: BothLanguages
    messages: list[BothLanguages] = ShapeField(description="Sentences of the kind.")
    hint: BothLanguages
    source: BothLanguages = ShapeField(description="Legal or statistical basis of the rule.")
    thresholds: dict[str, dict[str, float]] = ShapeField(
        description="Values of each edition that the rule compares with; empty without any."
    )

    model_config = show_example(_MEANING)


class FindingMeanings(BaseModel):
    """Every kind of finding, errors first, and the editions of their thresholds."""

    items: list[FindingMeaning]
    editions: list[Thresholds]

    model_config = show_example(items=[_MEANING], editions=[EDITIONS[0].model_dump()])


def describe_kind(kind: FindingKind) -> FindingMeaning:
    return FindingMeaning.model_validate(_dump_kind(kind))


# Replies to a write of many lines or reports


class ActionBatch(Batch):
    """A batch of up to 1,000 actions."""

    # `read_items` validates item by item, so that with `each` one bad item does not refuse the others.
    items: list[SkipValidation[ActionItem]] = ShapeField(min_length=1, max_length=1000)

    model_config = show_example(items=[{"code": "A-001", **ACTION_EXAMPLE}])


class ItemResult(BaseModel):
    """The outcome of one item."""

    code: str | None = ShapeField(
        default=None, description="Key of the item; missing if it is unreadable.", json_schema_extra=SOMETIMES
    )
    status: Status
    version: int | None = ShapeField(default=None, json_schema_extra=SOMETIMES)
    errors: list[ErrorShape] | None = ShapeField(default=None, json_schema_extra=SOMETIMES)
    findings: list[FindingShape] | None = ShapeField(
        default=None, description="Findings of a written item.", json_schema_extra=SOMETIMES
    )


class BatchResult(BaseModel):
    """The outcomes of all items, in the order of the request."""

    created: int
    updated: int
    unchanged: int
    refused: int
    items: list[ItemResult]

    model_config = show_example(
        created=1,
        updated=0,
        unchanged=0,
        refused=0,
        items=[{"code": "A-001", "status": "created", "version": 1}],
    )


def build_batch_result(
    written: Sequence[ItemOutcome],
    refused: Mapping[int, ItemOutcome],
    findings: Mapping[str, Sequence[Finding]],
    *,
    language: Language,
) -> BatchResult:
    """Return the outcomes of all items in the order of the request; `findings` by the item's key.

    The reply lists the first `MOST_ERRORS` errors; an item beyond them is `refused` without a list.
    """
    remaining = iter(written)
    outcomes = [refused[n] if n in refused else next(remaining) for n in range(len(written) + len(refused))]
    counts = {status: sum(o.status == status for o in outcomes) for status in get_args(Status)}
    every = (error for outcome in outcomes for error in outcome.errors)
    shown = {id(error): error.render(language) for error in islice(every, MOST_ERRORS)}
    items = [
        ItemResult(
            code=o.code or None,
            status=o.status,
            version=o.version,
            errors=[shown[id(error)] for error in o.errors if id(error) in shown] or None,
            findings=[FindingShape(**finding.render(language)) for finding in findings.get(o.code, ())]
            or None
            if o.status != "refused"
            else None,
        )
        for o in outcomes
    ]
    return BatchResult(**counts, items=items)
