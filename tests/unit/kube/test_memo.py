"""What was used lately is kept, and no more than there is room for."""

import json

from canary.kube.memo import Memo, Recent, Texts


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)

    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_the_same_about_the_same_is_computed_once() -> None:
    memo: Memo[int] = Memo(2)
    asked: list[str] = []

    def about(key: str, thing: dict[str, int]) -> int:
        def compute() -> int:
            asked.append(key)
            return sum(thing.values())

        return memo.of(key, (thing,), compute)

    thing = {"x": 1}
    assert [about("a", thing), about("a", dict(thing)), about("b", thing)] == [1, 1, 1]
    assert asked == ["a", "b"]


def test_something_else_is_computed_anew() -> None:
    memo: Memo[int] = Memo(2)

    assert memo.of("a", (1,), lambda: 10) == 10
    assert memo.of("a", (2,), lambda: 20) == 20
    assert memo.of("a", (1,), lambda: 30) == 30


def read(text: str) -> str:
    """An object of its own, as whatever is read from JSON."""
    return str(json.loads(json.dumps(text)))


def test_a_short_text_is_kept_once() -> None:
    texts = Texts(10)

    assert texts.one(read("Deployment")) is texts.one(read("Deployment"))


def test_there_is_an_end_of_the_texts_that_are_known() -> None:
    texts = Texts(2)
    first = texts.one(read("first"))
    texts.one("second")
    texts.one("third")

    assert texts.one(read("first")) is not first


def test_a_long_text_is_not_kept_for_others() -> None:
    texts, script = Texts(10), "x" * 200
    texts.one(script)

    assert texts.one(read(script)) is not script
