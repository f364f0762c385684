"""The HTTP clients' workloads and who takes part. The server is nginx on the other CPU."""

from toolkit import NONE, UVLOOP, Limit, Peer, Task, on_both

FAMILY = "client"
GETS = 5000  # of one batch
TLS_GETS = 1000  # fewer: who keeps no connection shakes hands for each
MOST_ROUNDS = 3
MEMORY = Limit("memory_mib", "growth at the peak, MiB", 16.0)

TYPHOON, CURL = "typhoon", "typhoon curl"
CLIENT = "clients/typhoon_client.py"
CHANGED = ("with_imports.py", "typhoon=tornado", CLIENT)
AIOHTTP = "clients/aiohttp_client.py"

SIMPLE = (
    *on_both(TYPHOON, CLIENT, "simple", packages=("typhoon",)),
    *on_both("tornado", *CHANGED, "simple", packages=("tornado",)),
    *on_both("aiohttp", AIOHTTP, packages=("aiohttp",)),
)
LIBCURL = (
    Peer(CURL, UVLOOP, (CLIENT, "curl"), ("typhoon", "pycurl", UVLOOP)),
    Peer(
        "tornado curl",
        UVLOOP,
        (*CHANGED, "curl"),
        ("tornado", "pycurl", UVLOOP),
        counterpart=CURL,
    ),
)
OTHERS = (
    Peer("httpx", UVLOOP, ("clients/httpx_client.py",), ("httpx", UVLOOP)),
    Peer("niquests", UVLOOP, ("clients/niquests_client.py",), ("niquests", UVLOOP)),
    Peer("pyreqwest", UVLOOP, ("clients/pyreqwest_client.py",), ("pyreqwest", UVLOOP)),
    Peer("pycurl", NONE, ("clients/pycurl_client.py",), ("pycurl",)),
)

TASKS = (
    Task(
        "client-get",
        FAMILY,
        "get",
        "Small GETs, 32 at once, over connections that stay open",
        "requests",
        (*SIMPLE, *LIBCURL, *OTHERS),
    ),
    Task(
        "client-get-tls",
        FAMILY,
        "get",
        "The same with TLS",
        "requests",
        tuple(peer for peer in (*SIMPLE, *LIBCURL, *OTHERS) if peer.loop in (UVLOOP, NONE)),
    ),
    Task(
        "client-download",
        FAMILY,
        "download",
        "A body of 1 GiB, piece by piece as it comes",
        "MiB",
        (*SIMPLE, *OTHERS),
        limit=MEMORY,
    ),
)
