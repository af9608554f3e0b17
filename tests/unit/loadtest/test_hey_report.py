from hypothesis import given
from hypothesis import strategies as st

from loadtest.hey.report import MOST_ERRORS, Tally, report


def tally(*seconds: float, status: int = 200, size: int = 10) -> Tally:
    counted = Tally()
    for each in seconds:
        counted.answer(status, each, size)
    return counted


def test_a_load_is_told_in_the_form_of_hey() -> None:
    counted = tally(*(n / 100 for n in range(1, 101)))
    counted.answer(503, 0.5, 4)
    counted.error("GET http://a/: timeout")

    assert report(counted, 2.0) == GOLDEN


def test_a_load_without_an_answer_tells_the_errors() -> None:
    counted = Tally()
    counted.error("GET http://a/: refused")

    lines = report(counted, 1.0).splitlines()

    assert "  Requests/sec:\t0.0000" in lines
    assert "  [1]\tGET http://a/: refused" in lines
    assert "Response time histogram:" not in lines


def test_the_number_of_different_errors_is_bounded() -> None:
    counted = Tally()
    for n in range(MOST_ERRORS + 50):
        counted.error(f"error {n}")

    assert len(counted.errors) == MOST_ERRORS + 1
    assert counted.errors["other errors"] == 50


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1))
def test_every_answer_is_in_the_histogram_once(seconds: list[float]) -> None:
    text = report(tally(*seconds), 1.0)

    histogram = text.partition("histogram:\n")[2].partition("\n\n")[0].splitlines()
    assert sum(int(line.partition("[")[2].partition("]")[0]) for line in histogram) == len(seconds)


GOLDEN = """
Summary:
  Total:\t2.0000 secs
  Slowest:\t1.0000 secs
  Fastest:\t0.0100 secs
  Average:\t0.5050 secs
  Requests/sec:\t50.5000

  Total data:\t1004 bytes
  Size/request:\t9 bytes

Response time histogram:
  0.010 [1]\t|■■■
  0.109 [9]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.208 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.307 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.406 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.505 [11]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.604 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.703 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.802 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.901 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  1.000 [10]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■

Latency distribution:
  10% in 0.1100 secs
  25% in 0.2600 secs
  50% in 0.5000 secs
  75% in 0.7500 secs
  90% in 0.9000 secs
  95% in 0.9500 secs
  99% in 0.9900 secs

Status code distribution:
  [200]\t100 responses
  [503]\t1 responses

Error distribution:
  [1]\tGET http://a/: timeout
"""
