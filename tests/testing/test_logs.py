"""ExpectLog."""

import logging

import pytest

from typhoon.testing import ExpectLog

log = logging.getLogger("test.expected")


def test_hides_what_matches_and_passes_on_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    with ExpectLog(log, "some.*thing") as expected:
        log.warning("some%s", "where a thing")
        log.error("somethingelse")
        log.warning("not something")
    assert expected.matched == 2
    assert not expected.logged_stack
    assert [record.getMessage() for record in caplog.records] == ["not something"]
    log.warning("something")
    assert caplog.records[-1].getMessage() == "something"


def test_takes_the_name_of_a_logger() -> None:
    with ExpectLog("test.expected", "something"):
        log.warning("something")
    with ExpectLog("", "something"):
        logging.getLogger().warning("something")


def test_case_matters() -> None:
    missing = pytest.raises(AssertionError, match="nothing that matches 'Something'")
    with missing, ExpectLog(log, "Something"):
        log.warning("something")


def test_a_required_message_that_does_not_come_is_an_error() -> None:
    missing = pytest.raises(AssertionError, match=r"'something' was logged to 'test\.expected'")
    with missing, ExpectLog(log, "something"):
        pass
    with ExpectLog(log, "something", required=False):
        pass


def test_another_exception_has_precedence() -> None:
    with pytest.raises(ZeroDivisionError), ExpectLog(log, "something"):
        raise ZeroDivisionError
    assert not log.filters


def test_says_whether_a_traceback_was_logged() -> None:
    with ExpectLog(log, "broken") as expected:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            log.exception("broken")
    assert expected.logged_stack


def test_a_level_lets_messages_through_in_the_meantime(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    log.setLevel(logging.ERROR)
    try:
        with ExpectLog(log, "something", level=logging.DEBUG) as expected:
            log.debug("something")
        assert expected.matched == 1
        assert log.level == logging.ERROR
    finally:
        log.setLevel(logging.NOTSET)


def test_messages_of_other_levels_do_not_match(caplog: pytest.LogCaptureFixture) -> None:
    missing = pytest.raises(AssertionError, match="at level INFO")
    with missing, ExpectLog(log, "something", level=logging.INFO):
        log.warning("something")
    assert len(caplog.records) == 1


def test_a_low_level_without_saying_so_is_deprecated() -> None:
    log.setLevel(logging.INFO)
    try:
        deprecated = pytest.warns(DeprecationWarning, match="pass the level")
        with deprecated, ExpectLog(log, "something") as expected:
            log.info("something")
        assert expected.deprecated_level_matched == 1
    finally:
        log.setLevel(logging.NOTSET)
