"""What the load tester tells of itself: log lines and Prometheus metrics."""

import logging
import sys
from collections.abc import Callable
from typing import Final, assert_never

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from structlog.typing import FilteringBoundLogger, Processor

from loadtest.jobs import Finished, Outcome, OverLimit, Stopped, TimedOut
from loadtest.limits import Limits
from loadtest.load.results import LoadOutput, Results
from loadtest.processes import Output
from loadtest.tasks import LOAD_TYPE, Task

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_DURATIONS: Final = (0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600)


def configure_logs(level: str, encoding: str) -> FilteringBoundLogger:
    """Set up log lines on standard error and return the logger.

    Args:
        level: one of `LEVELS`.
        encoding: `json`, or `console` for people.
    """
    # Without what variables hold: a token that a caller sent may be among it.
    plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    renderers: dict[str, list[Processor]] = {
        "json": [
            structlog.processors.ExceptionRenderer(plain),
            structlog.processors.EventRenamer("msg"),
            structlog.processors.JSONRenderer(),
        ],
        "console": [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
    }
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            *renderers[encoding],
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


class Telemetry:
    """Watches tasks and answers, and tells of them.

    Args:
        log: takes the log lines.
        registry: takes the metrics.
    """

    def __init__(self, log: FilteringBoundLogger, registry: CollectorRegistry | None = None) -> None:
        self.log = log
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._loads = Results()
        self.registry.register(self._loads)
        self._running = Gauge("loadtest_tasks_running", "Tasks that run now.", registry=self.registry)
        self._tasks = Counter(
            "loadtest_tasks_total",
            "Runs of tasks that have ended, by how.",
            ("type", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "loadtest_task_duration_seconds",
            "How long runs of tasks took.",
            ("type",),
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self._answers = Counter(
            "loadtest_http_requests_total",
            "Calls that were answered.",
            ("path", "status"),
            registry=self.registry,
        )

    def output(self, task: Task, limits: Limits) -> Output:
        """Return what takes the output of a task; that of a load has numbers in it."""
        if task.type != LOAD_TYPE:
            return Output(limits=limits)
        name, _, namespace = task.canary.rpartition(".")
        return LoadOutput(lambda report: self._loads.add(name, namespace, report), limits)

    def watch_queue(self, queued: Callable[[], float]) -> None:
        """Tell how many tasks wait for their turn, as they are counted by somebody else."""
        gauge = Gauge("loadtest_tasks_queued", "Tasks that wait for their turn.", registry=self.registry)
        gauge.set_function(queued)

    def started(self, task: Task) -> None:
        """A run of the task begins."""
        self._running.inc()
        self.log.info("task started", canary=task.canary, type=task.type, cmd=task.command)

    def ended(self, task: Task, outcome: Outcome, seconds: float) -> None:
        """A run of the task has ended after so many seconds."""
        self._running.dec()
        word = _word(outcome)
        self._tasks.labels(task.type, word).inc()
        self._seconds.labels(task.type).observe(seconds)
        log = self.log.bind(canary=task.canary, type=task.type, cmd=task.command, seconds=round(seconds, 3))
        match outcome:
            case Finished(0, output):
                log.info("task succeeded", **({"output": output} if task.logs_output else {}))
            case Finished(status, output):
                log.error("task failed", status=status, output=output)
            case TimedOut(limit, output):
                log.error("task timed out", limit=limit.total_seconds(), output=output)
            case OverLimit(reason, output):
                log.error("task ended at a limit", reason=reason, output=output)
            case Stopped(why):
                log.info("task stopped", reason=why)
            case _:
                assert_never(outcome)

    def answered(self, path: str, status: int) -> None:
        """A call of one of our paths was answered."""
        self._answers.labels(path, str(status)).inc()


def _word(outcome: Outcome) -> str:
    match outcome:
        case Finished(status):
            return "failed" if status else "succeeded"
        case TimedOut():
            return "timed_out"
        case OverLimit():
            return "over_limit"
        case Stopped():
            return "stopped"
        case _:
            assert_never(outcome)
