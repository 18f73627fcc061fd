"""Commands for evidence, written by the region, and grades, written by the panel of the province."""

from app.access.commands import Write
from app.access.rules import is_within
from app.convergence.coverage.rules import is_village
from app.convergence.editions.commands import lock_choices, pin_choices
from app.convergence.editions.step_templates.models import TemplateStep
from app.convergence.editions.step_templates.queries import TEMPLATES, check_steps_region, read_templates
from app.convergence.editions.step_templates.rules import STEPS_CHAIN, compute_window
from app.convergence.steps.models import EvidenceIn, PanelGradeIn
from app.convergence.steps.queries import EVIDENCE, GRADE, PartKey, StepPart, read_step
from app.kit.database.journal import lock_chain
from app.kit.http.validation import check_key, describe_unknown
from app.kit.periods import get_local_date
from app.kit.problems import FieldError, Kind, NotFound, Problem, refuse
from app.kit.wording import Text, declare_words
from app.reference.queries import find_regions_by_code

after_today = Kind(
    "after_today",
    id="tanggal “{value}” sesudah hari ini di wilayah itu ({allowed})",
    en="the date “{value}” is after today in that region ({allowed})",
)
village_required = Kind(
    "village_required",
    id="bukti jenis “{kind}” diberikan per desa; isi desanya",
    en="each village has its own evidence of the kind “{kind}”; name the village",
)
no_village_there = Kind(
    "no_village_there",
    id="“{value}” bukan desa atau kelurahan di wilayah {allowed}",
    en="“{value}” is not a village of region {allowed}",
)
declare_words(
    {"evidence-kinds": Text("jenis bukti langkah ini", "the kinds of evidence of this step")}, form="list"
)


class StepNotOpen(Problem):
    status = 409
    code = "step_not_open"
    title = Text("Langkah belum dibuka", "The step is not open yet")
    detail = Text(
        "Langkah ini dibuka pada {opens_on} dan belum dapat dinilai.",
        "This step opens on {opens_on} and cannot have grades yet.",
    )


def put_part(write: Write, part: StepPart, key: PartKey, content: EvidenceIn | PanelGradeIn) -> bool:
    """Create (True) or replace (False) evidence or the panel's grade of a criterion. Idempotent."""
    session, (region, year, step, code) = write.session, key
    check_steps_region(session, write.actor, region)
    write.actor.require(part.right, region)
    chain = lock_chain(session, f"{STEPS_CHAIN}{region}")
    chosen = lock_choices(session, TEMPLATES, [region], year)
    template = chosen[region].template
    definition = read_templates(session, [template])[template].step(step)
    if isinstance(content, PanelGradeIn):
        _check_criterion(definition, code)
    stored = part.resource.read(session, [key])
    write.precondition.check(stored[key].version if stored else None)
    if isinstance(content, PanelGradeIn):
        _check_open(write, region, year, definition)
    else:
        if not stored:
            check_key(code)
        refuse(_check_evidence(write, region, definition, content))
    after = content.model_dump(mode="json")
    if stored and stored[key].content == after:
        return False
    pinned = pin_choices(session, write.author, TEMPLATES, chosen, year)
    part.resource.put(session, write.author, chain, {key: after}, stored, before=pinned)
    return not stored


def _check_evidence(write: Write, region: str, step: TemplateStep, content: EvidenceIn) -> list[FieldError]:
    errors = []
    kinds = {kind.code: kind for kind in step.evidence_kinds}
    kind = kinds.get(content.kind)
    if kind is None:
        source, allowed = "evidence-kinds", list(kinds)
        errors.append(describe_unknown(content.kind, source, kinds, allowed=allowed, pointer="/kind"))
    elif kind.per_village and content.village is None:
        errors.append(FieldError(village_required, pointer="/village", values={"kind": kind.code}))
    known = find_regions_by_code(write.session, {region, *([content.village] if content.village else [])})
    village = content.village
    if village is not None and not (village in known and is_village(village) and is_within(village, region)):
        errors.append(FieldError(no_village_there, pointer="/village", value=village, allowed=region))
    today = get_local_date(write.author.at, known[region].timezone)
    if content.date > today:
        errors.append(FieldError(after_today, pointer="/date", value=str(content.date), allowed=str(today)))
    return errors


def _check_criterion(step: TemplateStep, criterion: str) -> None:
    if criterion not in {item.code for item in step.criteria}:
        raise NotFound()


def _check_open(write: Write, region: str, year: int, step: TemplateStep) -> None:
    opens_on = compute_window(year, step.opens_month, step.due_month).opens_on
    zone = find_regions_by_code(write.session, [region])[region].timezone
    if get_local_date(write.author.at, zone) < opens_on:
        raise StepNotOpen(opens_on=opens_on)


def delete_evidence(write: Write, key: PartKey) -> None:
    """Delete a piece of evidence. Raises NotFound if it does not exist."""
    check_steps_region(write.session, write.actor, key[0])
    _delete(write, EVIDENCE, key)


def delete_grade(write: Write, key: PartKey) -> None:
    """Delete the panel's grade of a criterion. Raises NotFound if it does not exist."""
    region, year, step, criterion = key
    _check_criterion(read_step(write.session, write.actor, region, year, step), criterion)
    _delete(write, GRADE, key)


def _delete(write: Write, part: StepPart, key: PartKey) -> None:
    write.actor.require(part.right, key[0])
    chain = lock_chain(write.session, f"{STEPS_CHAIN}{key[0]}")
    stored = write.precondition.check_existing(part.resource.read(write.session, [key]).get(key))
    part.resource.delete(write.session, write.author, chain, key, stored)
