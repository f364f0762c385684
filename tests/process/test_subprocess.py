"""Programs that are run: their pipes, their exit, and what is left of them."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support import TIMEOUT, new_event_loop, without_collector
from typhoon.ioloop import IOLoop
from typhoon.process import CalledProcessError, Subprocess

PYTHON = [sys.executable, "-I", "-S"]
"""An interpreter that starts quickly."""


def run(loop_kind: str, main: Callable[[], Awaitable[Any]]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(TIMEOUT):
            return await main()

    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        return runner.run(limited())


@pytest.fixture(params=["descriptor", "thread"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the exit is noticed: as on a system that has pidfd_open, and as on others."""
    if request.param == "thread":

        def unavailable(pid: int, flags: int = 0) -> int:
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", unavailable, raising=False)
    return request.param


def descriptors() -> set[str]:
    return {
        f"{name} {os.readlink(path)}"
        for name in os.listdir("/proc/self/fd")
        if os.path.lexists(path := f"/proc/self/fd/{name}")
    }


def is_child(pid: int) -> bool:
    """Whether it runs, or has exited and has not been reaped."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def test_streams(loop_kind: str) -> None:
    program = "import sys; t = sys.stdin.read(); print(t.upper()); print('e', file=sys.stderr)"

    async def main() -> None:
        process = Subprocess(
            [*PYTHON, "-c", program],
            stdin=Subprocess.STREAM,
            stdout=Subprocess.STREAM,
            stderr=Subprocess.STREAM,
        )
        await process.stdin.write(b"hello")
        process.stdin.close()
        assert await process.stdout.read_until(b"\n") == b"HELLO\n"
        assert await process.stdout.read_until_close() == b""
        assert await process.stderr.read_until_close() == b"e\n"
        assert await process.wait_for_exit() == 0
        assert process.returncode == 0
        assert process.pid == process.proc.pid

    run(loop_kind, main)


def test_what_is_no_stream_is_as_with_popen(tmp_path: Path) -> None:
    async def main() -> None:
        process = Subprocess([*PYTHON, "-c", "print(1)"], stdin=subprocess.PIPE, stdout=out)
        assert process.stdin is process.proc.stdin is not None
        assert process.stdout is None
        assert process.stderr is None
        await process.wait_for_exit()
        process.stdin.close()

    with open(tmp_path / "out", "wb") as out:
        run("asyncio", main)
    assert (tmp_path / "out").read_text() == "1\n"


def test_the_exit_is_awaited(loop_kind: str, way: str) -> None:
    async def main() -> None:
        process = Subprocess([*PYTHON, "-c", "raise SystemExit(3)"])
        assert process.returncode is None
        first, second = process.wait_for_exit(raise_error=False), process.wait_for_exit()
        assert await first == 3
        with pytest.raises(CalledProcessError) as error:
            await second
        assert error.value.returncode == 3
        assert error.value.cmd == process.proc.args
        # And again, after it is known.
        assert await process.wait_for_exit(raise_error=False) == process.returncode == 3
        with pytest.raises(CalledProcessError):
            await process.wait_for_exit()

    run(loop_kind, main)


def test_a_signal_is_a_negative_status(loop_kind: str, way: str) -> None:
    async def main() -> None:
        process = Subprocess([*PYTHON, "-c", "input()"], stdin=Subprocess.STREAM)
        os.kill(process.pid, signal.SIGTERM)
        assert await process.wait_for_exit(raise_error=False) == -signal.SIGTERM
        process.stdin.close()

    run(loop_kind, main)


def test_the_exit_callback(loop_kind: str, way: str) -> None:
    async def main() -> None:
        statuses: asyncio.Queue[int] = asyncio.Queue()
        process = Subprocess([*PYTHON, "-c", "raise SystemExit(3)"])
        process.set_exit_callback(lambda status: pytest.fail("replaced"))
        process.set_exit_callback(statuses.put_nowait)
        assert await statuses.get() == 3
        process.set_exit_callback(statuses.put_nowait)  # after the exit
        assert await statuses.get() == 3
        assert statuses.empty()

    run(loop_kind, main)


def test_an_exit_callback_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        process = Subprocess([*PYTHON, "-c", ""])
        process.set_exit_callback(lambda status: 1 // status)  # type: ignore[arg-type,return-value]
        await process.wait_for_exit()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run("asyncio", main)
    assert "ZeroDivisionError" in caplog.text


def test_a_cancelled_wait_disturbs_nobody(loop_kind: str, way: str) -> None:
    async def main() -> None:
        process = Subprocess([*PYTHON, "-c", "input()"], stdin=Subprocess.STREAM)
        cancelled, other = process.wait_for_exit(), process.wait_for_exit(raise_error=False)
        cancelled.cancel()
        process.proc.kill()
        assert await other == -signal.SIGKILL
        assert cancelled.cancelled()
        process.stdin.close()

    run(loop_kind, main)


def test_in_a_thread_that_is_not_the_main_one(loop_kind: str, way: str) -> None:
    statuses: list[int] = []

    async def main() -> None:
        statuses.append(await Subprocess([*PYTHON, "-c", ""]).wait_for_exit())

    thread = threading.Thread(target=run, args=(loop_kind, main))
    thread.start()
    thread.join(TIMEOUT)
    assert statuses == [0]


def test_several_loops_with_processes_at_once(loop_kind: str, way: str) -> None:
    async def main() -> None:
        processes = [Subprocess([*PYTHON, "-c", f"raise SystemExit({n})"]) for n in range(5)]
        statuses = [await process.wait_for_exit(raise_error=False) for process in processes]
        assert statuses == list(range(5))
        inside.wait(TIMEOUT)

    inside = threading.Barrier(2)
    threads = [threading.Thread(target=run, args=(loop_kind, main)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert not inside.broken
    assert inside.n_waiting == 0


def test_before_the_loop_runs(loop_kind: str, way: str) -> None:
    io_loop = IOLoop(asyncio_loop=new_event_loop(loop_kind))
    try:
        process = Subprocess([*PYTHON, "-c", ""])
        assert process.io_loop is io_loop
        assert io_loop.run_sync(process.wait_for_exit, timeout=TIMEOUT) == 0
    finally:
        io_loop.close()


def test_somebody_else_may_wait_as_well(loop_kind: str, way: str) -> None:
    async def main() -> None:
        process = Subprocess([*PYTHON, "-c", "raise SystemExit(3)"])
        assert process.proc.wait() == 3
        assert await process.wait_for_exit(raise_error=False) == 3

    run(loop_kind, main)


def test_a_process_is_reaped_though_nobody_waits(loop_kind: str, way: str) -> None:
    async def main() -> None:
        pid = Subprocess([*PYTHON, "-c", ""]).pid
        while is_child(pid):  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0.01)

    run(loop_kind, main)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_descriptor_and_no_object_is_left(loop_kind: str, way: str) -> None:
    async def main() -> None:
        async def one() -> None:
            process = Subprocess(
                [*PYTHON, "-c", "print(1)"],
                stdin=Subprocess.STREAM,
                stdout=Subprocess.STREAM,
                stderr=Subprocess.STREAM,
            )
            process.stdin.close()
            await process.stdout.read_until_close()
            await process.wait_for_exit()
            process.stderr.close()

        await one()  # what the loop opens for itself
        before = descriptors()
        with without_collector():
            for _ in range(3):
                await one()
            await asyncio.sleep(0)
            for thread in threading.enumerate():
                if thread.name.startswith("wait for "):
                    thread.join(TIMEOUT)
            left = [item for item in gc.get_objects() if type(item) is Subprocess]
        assert descriptors() == before
        assert left == []

    run(loop_kind, main)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_program_that_does_not_exist_leaves_no_descriptor(tmp_path: Path) -> None:
    async def main() -> None:
        before = descriptors()
        with pytest.raises(FileNotFoundError, match="absent"):
            Subprocess(
                [str(tmp_path / "absent")], stdin=Subprocess.STREAM, stdout=Subprocess.STREAM
            )
        with pytest.raises(TypeError):
            Subprocess(PYTHON, stderr=Subprocess.STREAM, no_such_argument=1)
        await asyncio.sleep(0)
        assert descriptors() == before

    run("asyncio", main)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_loop_that_is_closed_early_leaves_no_descriptor(loop_kind: str) -> None:
    before = descriptors()
    io_loop = IOLoop(asyncio_loop=new_event_loop(loop_kind))
    process = Subprocess([*PYTHON, "-c", "input()"], stdin=subprocess.PIPE)
    io_loop.run_sync(lambda: asyncio.sleep(0))
    io_loop.close()
    process.proc.stdin.close()  # type: ignore[union-attr]
    assert process.proc.wait() == 1
    del process, io_loop
    gc.collect()
    assert descriptors() == before


def test_the_child_has_none_of_our_descriptors(loop_kind: str) -> None:
    program = "import os; print(sorted(map(int, os.listdir('/dev/fd')))[:4])"

    async def main() -> None:
        other = Subprocess([*PYTHON, "-c", "input()"], stdin=Subprocess.STREAM)
        process = Subprocess(
            [*PYTHON, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=Subprocess.STREAM,
            close_fds=False,
        )
        # 3 is the folder that is being listed.
        assert await process.stdout.read_until_close() == b"[0, 1, 2, 3]\n"
        other.stdin.close()
        await other.wait_for_exit(raise_error=False)
        await process.wait_for_exit()

    run(loop_kind, main)


def test_initialize_and_uninitialize_are_still_there() -> None:
    Subprocess.initialize()
    Subprocess.uninitialize()
