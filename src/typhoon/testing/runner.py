"""The test runner behind ``python -m typhoon.testing``."""

import sys
import unittest
from typing import Any


def main(**kwargs: Any) -> None:
    """Run tests, as `unittest.main` does, with the options of `typhoon.options` beside them.

    .. code-block:: console

        $ python -m typhoon.testing --logging=debug mypackage.tests.test_web

    Names of modules, classes and methods say what to run. A module of one's own that calls this
    function runs what its function ``all()``, which returns a `unittest.TestSuite`, gives; names
    on the command line go before that. The exit status is 0 if all tests have passed.

    Options: ``--verbose``, ``--quiet``, ``--failfast``, ``--catch``, ``--buffer``,
    ``--locals`` as those of `unittest`, ``--exception_on_interrupt`` (by default true: what runs
    is shown when the test run is interrupted), and all that the program has defined, such as
    ``--logging``.

    Args:
        kwargs: More arguments for `unittest.main`, such as ``verbosity=2``.
    """
    from typhoon.options import define, options, parse_command_line

    define(
        "exception_on_interrupt",
        type=bool,
        default=True,
        help="If true, Ctrl-C raises KeyboardInterrupt, which shows where the test is; "
        "otherwise it ends the program at once",
    )
    define("verbose", type=bool, help="Name each test")
    define("quiet", type=bool, help="Print failures only")
    define("failfast", type=bool, help="Stop at the first failure")
    define("catch", type=bool, help="Let the current test end on Ctrl-C, then report")
    define("buffer", type=bool, help="Keep the output of tests that pass")
    define("locals", type=bool, help="Show local variables in tracebacks")

    rest = parse_command_line(sys.argv)
    if not options.exception_on_interrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.verbose:
        kwargs["verbosity"] = 2
    if options.quiet:
        kwargs["verbosity"] = 0
    for option, argument in (
        ("failfast", "failfast"),
        ("catch", "catchbreak"),
        ("buffer", "buffer"),
        ("locals", "tb_locals"),
    ):
        if options[option]:
            kwargs[argument] = True

    # Names go before what is in the program; without either, unittest looks for tests.
    program = sys.modules["__main__"]
    module = None if rest or program.__package__ == "typhoon.testing" else "__main__"
    if module is not None and hasattr(program, "all"):
        kwargs.setdefault("defaultTest", "all")
    unittest.main(module=module, argv=[sys.argv[0], *rest], **kwargs)
