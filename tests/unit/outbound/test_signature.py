"""What is sent is signed as Standard Webhooks says, by keys that can be changed."""

from datetime import UTC, datetime

import pytest

from outbound import signature
from outbound.errors import CannotAskError

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime.fromtimestamp(1614265330.9, tz=UTC)


def test_a_signature_is_that_of_the_specifications_own_libraries() -> None:
    """The values are those of their tests (standard-webhooks 1.0.0)."""
    made = signature.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', AT, signature.keys_of(KEY))
    assert dict(made) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_key_id_and_time_are_sent() -> None:
    assert dict(signature.headers("m", b"", AT, ())) == {"webhook-id": "m", "webhook-timestamp": "1614265330"}


def test_of_two_keys_each_signs() -> None:
    other = "whsec_" + "A" * 32
    both = dict(signature.headers("m", b"x", AT, signature.keys_of(f"{other}\n{KEY}\n")))
    alone = [dict(signature.headers("m", b"x", AT, signature.keys_of(each))) for each in (other, KEY)]
    assert both["webhook-signature"] == " ".join(each["webhook-signature"] for each in alone)


def test_padding_may_be_left_out() -> None:
    assert signature.keys_of("whsec_" + "A" * 34) == signature.keys_of("whsec_" + "A" * 34 + "==") == (bytes(25),)


@pytest.mark.parametrize(
    "text", ["", " ", "S3CRET", "A" * 32, "whsec_", "whsec_S3CRET", "whsec_" + "A" * 31 + "!", "whsec_" + "A" * 100]
)
def test_what_is_no_key_is_told_with_the_way_to_make_one_and_without_it(text: str) -> None:
    with pytest.raises(CannotAskError, match=r"signing\.key in its Secret .*openssl rand -base64 32") as refused:
        signature.keys_of(text)
    assert "S3CRET" not in str(refused.value)
