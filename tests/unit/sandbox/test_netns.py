"""What is said where the machine forbids a network of one's own."""

import errno
import os

import pytest

from canary.sandbox.netns import _refusal


@pytest.mark.parametrize(
    ("number", "named"),
    [
        (errno.EPERM, "(Operation not permitted); run as root, or allow user namespaces"),
        (errno.ENOSPC, "raise sysctl user.max_user_namespaces"),
    ],
)
def test_the_setting_that_forbids_it_is_named(number: int, named: str) -> None:
    """The system calls it "No space left on device" where there may be no more namespaces."""
    text = _refusal(OSError(number, os.strerror(number)))
    assert named in text
    assert "No space" not in text
