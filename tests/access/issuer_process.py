"""A real OIDC issuer, run by `tests.access.issuer` in a process of its own: Canaille with its in-memory backend.

Offices run Canaille as their identity provider. Here it has two people, two clients and two keys; a line on
standard input makes the second key sign. It prints a line for each request that it answers.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend

PEOPLE = ("5d0c1f52", "e81b07aa")
PASSWORD = "correct horse battery staple"


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log nothing: the wrapper below prints requests."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(port: int, keys: list[dict[str, str]], audience: str) -> None:
    oidc = {"ACTIVE_JWKS": keys[:1], "INACTIVE_JWKS": []}
    app = create_app(
        {
            "SECRET_KEY": "of this run",
            "SERVER_NAME": f"127.0.0.1:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "HTMX": False, "JAVASCRIPT": False, "LOGGING": None},
            "CANAILLE_OIDC": oidc,
        },
        env_file=None,
    )
    with app.app_context(), Backend.instance.session():
        furnish(audience)

    def counted(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        say(environ["PATH_INFO"])
        return app(environ, start)

    server = make_server("127.0.0.1", port, counted, Threaded, Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say("ready")
    for _ in sys.stdin:
        app.config["CANAILLE_OIDC"]["ACTIVE_JWKS"] = keys[1:]
        app.config["CANAILLE_OIDC"]["INACTIVE_JWKS"] = keys[:1]
        say("rotated")


def furnish(audience: str) -> None:
    """Add people known by a number alone; the API is the audience of one client and not of the other."""
    for subject in PEOPLE:
        person = models.User(user_name=subject, family_name="–", emails=[f"{subject}@invalid.example"])
        Backend.instance.save(person)
        Backend.instance.set_user_password(person, PASSWORD)
    api = models.Client(client_id=audience, client_name="API")
    Backend.instance.save(api)
    for name, audiences in (("office", [api]), ("elsewhere", [])):
        client = models.Client(
            client_id=name,
            client_secret="of-this-run",
            client_name=name,
            grant_types=["password", "refresh_token"],
            response_types=["code"],
            scope=["openid", "profile"],
            token_endpoint_auth_method="client_secret_basic",
        )
        client.audience = [client, *audiences]
        Backend.instance.save(client)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3])
