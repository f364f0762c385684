"""The connection to Twisted."""

import subprocess
import sys


def test_twisted_runs_in_the_event_loop() -> None:
    # In a process of its own: a reactor is for ever.
    program = """
import typhoon.platform.twisted
from typhoon import gen
from typhoon.ioloop import IOLoop

typhoon.platform.twisted.install()
from twisted.internet import reactor
from twisted.internet.defer import Deferred

@gen.coroutine
def main():
    deferred = Deferred()
    reactor.callLater(0.001, deferred.callback, 42)
    result = yield deferred
    failing = Deferred()
    reactor.callLater(0.001, failing.errback, KeyError("absent"))
    try:
        yield failing
    except KeyError:
        return result

reactor.startRunning()
print(IOLoop.current().run_sync(main))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "42"
