"""Real servers that ask for Digest authentication: Apache and lighttpd, from Debian."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import wait_until_listening

_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
APACHE = shutil.which("apache2", path=_PATH)
LIGHTTPD = shutil.which("lighttpd", path=_PATH)

needs_apache = pytest.mark.skipif(
    APACHE is None, reason="Apache is missing: apt-get install apache2-bin"
)
needs_lighttpd = pytest.mark.skipif(
    LIGHTTPD is None, reason="lighttpd is missing: apt-get install lighttpd"
)

REALM = "a realm"

APACHE_MODULES = (
    "mpm_event",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "auth_digest",
    "proxy",
    "proxy_http",
    "proxy_connect",
)

APACHE_CONFIGURATION = """
ServerName localhost
ServerRoot {folder}
DefaultRuntimeDir {folder}
Mutex file:{folder} default
PidFile {folder}/pid
ErrorLog {folder}/errors
LogFormat "%r %>s" short
CustomLog {folder}/access short
Listen 127.0.0.1:{port}
User www-data
Group www-data
DocumentRoot {folder}/www
ProxyRequests On
AllowCONNECT 1-65535
<Location "/">
  AuthType Digest
  AuthName "{realm}"
  AuthUserFile {folder}/users
  Require valid-user
</Location>
<Proxy "*">
  AuthType Digest
  AuthName "{realm}"
  AuthUserFile {folder}/users
  Require valid-user
</Proxy>
"""

LIGHTTPD_CONFIGURATION = """
server.modules = ("mod_auth", "mod_authn_file", "mod_accesslog")
server.document-root = "{folder}/www"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/errors"
accesslog.filename = "{folder}/access"
accesslog.format = "%r %s"
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{folder}/users"
auth.require = (
  "/md5" => (
    "method" => "digest", "algorithm" => "MD5", "realm" => "{realm}", "require" => "valid-user"
  ),
  "/sha" => (
    "method" => "digest", "algorithm" => "SHA-256", "realm" => "{realm}",
    "require" => "valid-user"
  ),
  "/both" => (
    "method" => "digest", "algorithm" => "MD5|SHA-256", "realm" => "{realm}",
    "require" => "valid-user"
  ),
  "/hashed" => (
    "method" => "digest", "algorithm" => "SHA-256", "realm" => "{realm}",
    "require" => "valid-user", "userhash" => "enable"
  )
)
"""


def prepare(folder: Path, users: dict[str, str]) -> None:
    """Files for everybody who is asked for, and a list of users."""
    lines = []
    for username, password in users.items():
        for algorithm in ("md5", "sha256"):
            digest = hashlib.new(algorithm, f"{username}:{REALM}:{password}".encode()).hexdigest()
            user = hashlib.new(algorithm, f"{username}:{REALM}".encode()).hexdigest()
            # What Apache reads ends with the password's digest; lighttpd also needs the user's.
            lines.append(f"{username}:{REALM}:{digest}:{user}\n")
    (folder / "users").write_text("".join(lines))
    for name in ("md5", "sha", "both", "hashed"):
        (folder / "www" / name).mkdir(parents=True)
        (folder / "www" / name / "file").write_text(name)


async def statuses(folder: Path, count: int) -> list[str]:
    """The statuses of all responses, sorted, once so many are in the log.

    A line of it may be written behind the response, and behind that of another connection.
    """
    log = folder / "access"
    while len(lines := log.read_text().splitlines()) < count:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
    return sorted(line.split()[-1] for line in lines)


@contextlib.contextmanager
def running_apache(folder: Path, port: int, more: str = "") -> Iterator[None]:
    """Apache, with more lines of configuration."""
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in APACHE_MODULES
    )
    file = folder / "apache.conf"
    file.write_text(
        modules + APACHE_CONFIGURATION.format(folder=folder, port=port, realm=REALM) + more, "utf-8"
    )
    with _running([APACHE or "", "-DFOREGROUND", "-f", str(file)], port, folder):
        yield


@contextlib.contextmanager
def running_lighttpd(folder: Path, port: int) -> Iterator[None]:
    file = folder / "lighttpd.conf"
    file.write_text(LIGHTTPD_CONFIGURATION.format(folder=folder, port=port, realm=REALM), "utf-8")
    with _running([LIGHTTPD or "", "-D", "-f", str(file)], port, folder):
        yield


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until_listening(process, port, folder)
            yield
        finally:
            process.terminate()
            process.communicate()
