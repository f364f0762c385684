"""A provider of OpenID 2.0: a small one, but a real one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from urllib.parse import urlencode

from typhoon.web import RequestHandler

NS = "http://specs.openid.net/auth/2.0"
AX = "http://openid.net/srv/ax/1.0"
EMAIL = "http://axschema.org/contact/email"
PERSON = {
    EMAIL: "ben@example.com",
    "http://axschema.org/namePerson/first": "Ben",
    "http://axschema.org/namePerson/last": "Bé & Co",
    "http://axschema.org/pref/language": "en-US",
}


class Provider(RequestHandler):
    """OpenID 2.0 with private associations: GET signs in (§10), POST verifies (§11.4.2)."""

    key = secrets.token_bytes(32)
    known_nonces: set[str] = set()

    def get(self) -> None:
        asked = {name: values[-1].decode() for name, values in self.request.arguments.items()}
        assert asked["openid.ns"] == NS
        assert asked["openid.mode"] == "checkid_setup"
        assert asked["openid.return_to"].startswith(asked["openid.realm"])
        answer = {
            "ns": NS,
            "mode": "id_res",
            "op_endpoint": self.request.full_url().partition("?")[0],
            "claimed_id": "https://id.example.com/ben",
            "identity": "https://id.example.com/ben",
            "return_to": asked["openid.return_to"],
            "response_nonce": "2026-01-01T00:00:00Z" + secrets.token_hex(8),
            "assoc_handle": "private",
            "ns.ext1": AX,
            "ext1.mode": "fetch_response",
        }
        for number, alias in enumerate(asked["openid.ax.required"].split(",")):
            uri = asked[f"openid.ax.type.{alias}"]
            if uri in PERSON:
                answer[f"ext1.type.a{number}"] = uri
                answer[f"ext1.value.a{number}"] = PERSON[uri]
        answer["signed"] = ",".join(name for name in answer if name not in ("ns", "mode"))
        self.known_nonces.add(answer["response_nonce"])
        answer["sig"] = self.sign(answer)
        arguments = {f"openid.{name}": value for name, value in answer.items()}
        joint = "&" if "?" in answer["return_to"] else "?"
        self.redirect(answer["return_to"] + joint + urlencode(arguments))

    def post(self) -> None:
        asked = {
            name.removeprefix("openid."): values[-1].decode()
            for name, values in self.request.body_arguments.items()
        }
        assert asked["mode"] == "check_authentication"
        try:
            valid = hmac.compare_digest(self.sign(asked), asked["sig"])
            self.known_nonces.remove(asked["response_nonce"])
        except KeyError:
            valid = False
        self.write(f"ns:{NS}\nis_valid:{'true' if valid else 'false'}\n")

    def sign(self, answer: dict[str, str]) -> str:
        text = "".join(f"{name}:{answer[name]}\n" for name in answer["signed"].split(","))
        return base64.b64encode(hmac.digest(self.key, text.encode(), hashlib.sha256)).decode()


BEN = {
    "claimed_id": "https://id.example.com/ben",
    "email": "ben@example.com",
    "first_name": "Ben",
    "last_name": "Bé & Co",
    "name": "Ben Bé & Co",
    "locale": "en-us",
}
