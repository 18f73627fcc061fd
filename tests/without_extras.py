"""Run the service without extras; print the modules that fail to import and the reply of each address."""

import json
import pkgutil
import sys
from importlib import import_module
from urllib.parse import urlencode

from app.extras import EXTRAS

for module in {module for modules in EXTRAS.values() for module in modules}:
    sys.modules[module] = None  # type: ignore[assignment]  # makes Python raise ModuleNotFoundError

from fastapi.testclient import TestClient  # noqa: E402

import app  # noqa: E402
from app.kit.database.engine import Database  # noqa: E402
from app.kit.openapi.document import COMMITTED  # noqa: E402
from app.main import create_app  # noqa: E402
from app.settings import Settings  # noqa: E402
from tests.contract.operations import operations  # noqa: E402
from tests.plans.world import LEAN, put, put_plan  # noqa: E402


def main(url: str, token: str) -> None:
    unimportable = {}
    for info in pkgutil.walk_packages(app.__path__, "app."):
        try:
            import_module(info.name)
        except ModuleNotFoundError as error:
            unimportable[info.name] = error.name
    database = Database(url)
    service = create_app(Settings(_env_file=None, database_url=url), database)
    answers = {}
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept-Language": "en",
        "Accept-Encoding": "zstd, gzip;q=0.5",
    }
    with TestClient(service, headers=headers, raise_server_exceptions=False) as client:
        put_plan(client)
        put(client, "A-001", base=LEAN)
        addresses = {
            operation.id: f"{operation.address()}?{urlencode(operation.needed)}"
            for operation in operations(json.loads(COMMITTED.read_bytes()))
            if operation.method == "get" and operation.id != "read_pull_as"
        }
        formats = ("ndjson", "csv", "parquet", "xlsx")
        addresses |= {kind: f"/v1/pulls/2026-Q2.{kind}" for kind in formats} | {"docs": "/docs"}
        for name, address in addresses.items():
            reply = client.get(address)
            detail = reply.json().get("detail") if reply.status_code >= 400 else None
            answers[name] = (reply.status_code, reply.headers.get("Content-Encoding"), detail)
    database.close()
    print(json.dumps({"unimportable": unimportable, "answers": answers}))  # noqa: T201 - the last line


main(*sys.argv[1:])
