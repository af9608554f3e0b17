"""What the log tells of an error."""

import pytest
import structlog

from loadtest.telemetry import configure_logs


@pytest.mark.parametrize("encoding", ["json", "console"])
def test_no_traceback_tells_what_variables_held(capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    """A token that a caller sent would be among it."""
    before = structlog.get_config()
    try:
        log = configure_logs("info", encoding)
        sent = "Bearer-of-a-caller"
        try:
            raise ValueError(len(sent))
        except ValueError:
            log.exception("a call could not be answered")
    finally:
        structlog.configure(**before)
    told = capsys.readouterr().err
    assert "ValueError" in told
    assert sent not in told
