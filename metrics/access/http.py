"""Bearer and basic authentication, by a Secret with `token`, or with `username` and `password`."""

from __future__ import annotations

from metrics.access.secret import credential
from metrics.errors import MisconfiguredError
from metrics.question import Question
from metrics.wire import Headers, basic
from outbound.access import PASSWORD, TOKEN, USERNAME, bearer

KEYS = (TOKEN, USERNAME, PASSWORD)


def authorization(question: Question) -> Headers:
    """The headers that let a question in: its own, and those its credentials make.

    Raises:
        MisconfiguredError: the Secret has neither `token` nor both `username` and `password`.
    """
    credentials = question.credentials
    if not credentials or question.region:
        # What has a region is signed for.
        return question.headers
    if "token" in credentials:
        token = credential(credentials, "token", question.provider)
        return (*question.headers, bearer(token))
    if "username" not in credentials and "password" not in credentials:
        msg = f"the {question.provider} provider needs token, or username and password, in its Secret"
        raise MisconfiguredError(msg)
    username = credential(credentials, "username", question.provider, encoded=True)
    password = credential(credentials, "password", question.provider, encoded=True)
    return (*question.headers, basic(username, password))
