"""Counts of a run of Schemathesis: requests, statuses, failures."""

from collections import Counter
from dataclasses import dataclass, field

from schemathesis import engine
from schemathesis.engine import events
from schemathesis.schemas import BaseSchema


@dataclass
class Tally:
    """The requests and failures of a caller on an engine."""

    requests: Counter[str] = field(default_factory=Counter)
    """Operation → requests."""
    statuses: Counter[int] = field(default_factory=Counter)
    succeeded: set[str] = field(default_factory=set)
    followed: int = 0
    """Requests along links."""
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    """(operation, title) → the first failure, with commands that reproduce it."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0

    def add(self, event: events.EngineEvent) -> None:
        if isinstance(event, events.ScenarioFinished):
            self._add_scenario(event)
        elif isinstance(event, events.NonFatalError):
            self._fail(event.label, event.info.title, event.info.format())
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.EngineFinished):
            self.seconds += event.running_time

    def _add_scenario(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        for id, interaction in recorder.interactions.items():
            node = recorder.cases.get(id)
            label = node.value.operation.label if node else event.recorder.label
            self.requests[label] += 1
            self.followed += bool(node and node.is_transition_applied)
            if interaction.response is not None:
                self.statuses[interaction.response.status_code] += 1
                if 200 <= interaction.response.status_code < 300:
                    self.succeeded.add(label)
        for id, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    response = recorder.interactions[id].response
                    answer = response and response.text[:600]
                    steps = [step.curl for step in check.failure_info.steps] or [
                        check.failure_info.code_sample
                    ]
                    text = "\n".join([failure.message, *steps, f"→ {answer}"])
                    self._fail(failure.operation or "", failure.title, f"{event.phase.value}: {text}")

    def _fail(self, operation: str, title: str, text: str) -> None:
        self.counts[operation, title] += 1
        self.failures.setdefault((operation, title), text)


def run(schema: BaseSchema, tally: Tally) -> None:
    for event in engine.from_schema(schema).execute():
        tally.add(event)
