"""A service without extras, in a process that cannot import them."""

import json
import subprocess
import sys

from app.kit.database.engine import Database
from tests.common import token_for
from tests.database import own_url
from tests.docs.pages import ROOT
from tests.plans.world import furnish


def test_a_service_without_extras_starts_and_names_the_missing_ones() -> None:
    with own_url("sqlite") as url:
        database = Database(url)
        furnish(database)
        token = token_for(database, ("secretariat", "63.02"), ("administrator", "0"))
        database.close()
        done = subprocess.run(
            [sys.executable, "-m", "tests.without_extras", url, token],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["unimportable"] == {
        "app.access.issuer": "jwt",
        "app.kit.server.metrics": "prometheus_client",
        "app.kit.server.tracing": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    }
    answers = {name: tuple(answer) for name, answer in seen["answers"].items()}
    workbooks = {name for name in answers if name.endswith("_xlsx")}
    assert "read_matrix_xlsx" in workbooks
    extras = {"docs": "docs", "parquet": "parquet", "xlsx": "xlsx", **dict.fromkeys(workbooks, "xlsx")}
    assert {name for name, answer in answers.items() if answer[0] >= 500} == extras.keys()
    for name, extra in extras.items():
        status, _, detail = answers[name]
        assert status == 501
        assert f"rata[{extra}]" in detail
    # without zstd the service compresses pulls with gzip
    assert answers["ndjson"][:2] == answers["csv"][:2] == answers["read_pull"][:2] == (200, "gzip")
    assert answers["read_action"][0] == answers["read_plan"][0] == answers["read_matrix_csv"][0] == 200
