"""What all samples have in common: metrics, the port, the faults."""

import pytest

from canary.sandbox.samples.http1 import StatusPages
from canary.sandbox.samples.life import Faults, option, port_of
from canary.sandbox.samples.metrics import Histogram


def values(lines: list[str]) -> dict[str, str]:
    return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines if not line.startswith("#")}


def test_a_histogram_counts_every_bucket_that_holds_the_time() -> None:
    histogram = Histogram("took_seconds")
    histogram.observe(0.03, method="GET", status="200")
    histogram.observe(20.0, method="GET", status="200")
    found, labels = values(histogram.lines()), 'method="GET",status="200"'
    assert found[f'took_seconds_bucket{{{labels},le="0.025"}}'] == "0"
    assert found[f'took_seconds_bucket{{{labels},le="0.05"}}'] == "1"
    assert found[f'took_seconds_bucket{{{labels},le="10.0"}}'] == "1"
    assert found[f'took_seconds_bucket{{{labels},le="+Inf"}}'] == "2"
    assert found[f"took_seconds_count{{{labels}}}"] == "2"


def test_totals_add_up_what_the_other_labels_tell_apart() -> None:
    histogram = Histogram("took_seconds")
    for path, status in (("/a", "200"), ("/b", "200"), ("/a", "500")):
        histogram.observe(0.1, path=path, status=status)
    assert values(histogram.totals("all", "status")) == {'all{status="200"}': "2", 'all{status="500"}': "1"}


@pytest.mark.parametrize(
    ("arguments", "port"), [([], 8080), (["--port=1"], 1), (["--level", "x", "--port", "2"], 2), (["--other=3"], 8080)]
)
def test_the_port_is_an_option_or_the_pods(monkeypatch: pytest.MonkeyPatch, arguments: list[str], port: int) -> None:
    monkeypatch.setenv("PORT", "8080")
    assert port_of(arguments, 9898) == port


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], None),
        (["--port-metrics=1"], "1"),
        (["--port-metrics", "2"], "2"),
        (["--port=3"], None),
        (["--port-metrics"], None),
    ],
)
def test_an_option_is_written_in_one_word_or_two(arguments: list[str], value: str | None) -> None:
    assert option(arguments, "--port-metrics") == value


async def test_faults_are_off_unless_they_are_switched_on() -> None:
    assert not await Faults.switched_on().strike()
    assert Faults.switched_on().ready


async def test_faults_show_from_an_age_on() -> None:
    assert await Faults(error_rate=1.0).strike()
    assert not await Faults(error_rate=1.0, latency=1000.0, after=1000.0).strike()


@pytest.mark.parametrize(
    ("target", "ready", "status"),
    [
        ("/metrics", True, 200),
        ("/readyz", True, 200),
        ("/readyz", False, 503),
        ("/healthz", False, 200),
        ("/", True, 404),
    ],
)
async def test_status_pages(target: str, ready: bool, status: int) -> None:
    pages = StatusPages(lambda: ["jobs_total 1"], lambda: ready)
    found, _, content = await pages.answer("GET", target, {}, b"")
    assert found == status
    assert (content == b"jobs_total 1\n") == (target == "/metrics")
