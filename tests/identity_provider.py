"""Canaille, a real identity provider, in a process of its own, with one user and one client.

``python tests/identity_provider.py`` runs it for examples/signin.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

USER = {
    "user_name": "ada",
    "password": "correct horse battery staple",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "formatted_name": "Ada Lovelace",
    "emails": ["ada@example.com"],
}

CLIENT_ID = "typhoon"
CLIENT_SECRET = "secret: 100% & more"

mark = pytest.mark.skipif(
    importlib.util.find_spec("canaille") is None,
    reason="Canaille is missing: pip install 'canaille[oidc]'",
)

LAUNCHER = """
import json, logging, socket, sys, warnings
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

import canaille
from canaille.app import models
from canaille.backends import Backend

user, client = json.loads(sys.argv[1]), json.loads(sys.argv[2])
sock = socket.create_server(("127.0.0.1", 0))
address = f"localhost:{sock.getsockname()[1]}"
key = RSAKey.generate_key(2048, auto_kid=True)
app = canaille.create_app({
    "SECRET_KEY": "a secret for tests",
    "SERVER_NAME": address,
    "PREFERRED_URL_SCHEME": "http",
    "CANAILLE": {
        "ENABLE_PASSWORD_COMPROMISSION_CHECK": False,
        "LOGGING": {"version": 1, "root": {"level": "ERROR"}},
        "JAVASCRIPT": False,
        "LANGUAGE": "en",
    },
    "CANAILLE_OIDC": {
        "ACTIVE_JWKS": [key.as_dict(private=True)],
        "TRUSTED_DOMAINS": [],
    },
})
with app.app_context():
    backend = Backend.instance
    backend.save(models.User(**user))
    client = models.Client(**client)
    backend.save(client)
    client.audience = [client]
    backend.save(client)
server = make_server("127.0.0.1", 0, app, threaded=True, fd=sock.fileno())
logging.getLogger("werkzeug").setLevel(logging.ERROR)
print(f"http://{address}", flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class IdentityProvider:
    """What an application has to know of it."""

    issuer: str
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET


@contextlib.contextmanager
def running_identity_provider(
    redirect_uri: str, post_logout_redirect_uri: str, log: Path
) -> Iterator[IdentityProvider]:
    """Start it, for an application at these addresses; what it writes goes to the file."""
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "client_name": "The example",
        "client_uri": redirect_uri,
        "redirect_uris": [redirect_uri],
        "post_logout_redirect_uris": [post_logout_redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": ["openid", "profile", "email"],
        "token_endpoint_auth_method": "client_secret_basic",
    }
    command = [sys.executable, "-c", LAUNCHER, json.dumps(USER), json.dumps(client)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=log.parent
        ) as process,
    ):
        try:
            assert process.stdout is not None
            issuer = process.stdout.readline().strip()
            assert issuer, f"the provider did not start: {log.read_text()}"
            yield IdentityProvider(issuer)
        finally:
            process.terminate()


def main() -> None:
    """Run it for examples/signin, until Ctrl-C."""
    site = "http://localhost:8888/"
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.suppress(KeyboardInterrupt),
        running_identity_provider(f"{site}login", site, Path(folder, "provider.log")) as provider,
    ):
        settings = f"--issuer={provider.issuer} --client-id={provider.client_id}"
        print(
            f"Start the example:\n  OIDC_CLIENT_SECRET={shlex.quote(provider.client_secret)} "
            f"python examples/signin/signin.py {settings}\n"
            f"Sign in as {USER['user_name']}, with the password {USER['password']!r}.",
            flush=True,
        )
        threading.Event().wait()


if __name__ == "__main__":
    main()
