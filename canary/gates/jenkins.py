"""A parametrised build of Jenkins: it passes where it succeeds.

Facts of Jenkins: `POST JOB/buildWithParameters` puts a build in the queue, a second time once the first has left it; a
parameter that the job doesn't define is dropped; the queue and the job tell the parameters of what waits and of what
was built. So a build is known by a parameter that carries the moment of the rollout, and looked for before it is
started: in the queue first, as a build goes from there to the job. On its way it is told by neither: it leaves what the
queue tells before the job has it, and gets its parameters last. `POST queue/cancelItem?id=` (404 where it has left the
queue) and `POST BUILD/stop` end one. A user with an API token needs no crumb; others get one from `crumbIssuer`, with
the cookie that it goes with.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from canary.api.addresses import is_web_address
from canary.api.analysis import Webhook
from canary.api.canary import Canary
from canary.api.gates import Gate, JenkinsGate
from canary.api.problems import Problem
from canary.gates.base import Moment, Said, State, unreadable
from canary.kube.types import Json, items

_BUILDS: Final = 100
"""Builds of a job that are looked at, the latest first."""

_MOST_ENDED: Final = 20
"""Builds that are over and are ended at one look; the others are at the next one."""

_QUEUE_TREE: Final = "items[id,why,actions[parameters[name,value]]]"
_JOB_TREE: Final = (
    "buildable,property[parameterDefinitions[name]],"
    f"builds[number,url,building,result,description,actions[parameters[name,value]]]{{0,{_BUILDS}}}"
)
FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")

PLURAL: Final = "builds"
"""What stands before the name of a build among what runs, as the plural of a kind does before a Job's."""


@dataclass(frozen=True, slots=True)
class Found:
    """What Jenkins has for one webhook of a Canary.

    Args:
        said: what the build of this moment says; None where there is none.
        over: what ends each build of the webhook that is for another moment: the paths to post to.
    """

    said: Said | None
    over: tuple[str, ...] = ()


def of(gate: Gate) -> JenkinsGate:
    """What a gate says of its build."""
    return gate.jenkins or JenkinsGate(url="")


def root(url: str) -> str:
    """The address of Jenkins itself, from a job's."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.partition('/job/')[0]}"


def queue_url(url: str) -> str:
    """Where the queue is told."""
    return f"{root(url)}/queue/api/json?tree={quote(_QUEUE_TREE, safe='')}"


def job_url(url: str) -> str:
    """Where a job and its builds are told."""
    return f"{url.rstrip('/')}/api/json?tree={quote(_JOB_TREE, safe='')}"


def start_url(url: str) -> str:
    """Where a build is started."""
    return f"{url.rstrip('/')}/buildWithParameters"


def crumb_url(url: str) -> str:
    """Where the crumb is."""
    return f"{root(url)}/crumbIssuer/api/json"


def value_of(moment: Moment) -> str:
    """What the parameter carries by which a build is known: whose it is, and its moment."""
    return f"{whose(moment.canary, moment.hook)}/{moment.run}.{moment.name.rpartition('-')[2]}"


def whose(canary: Canary, hook: Webhook) -> str:
    """What the values of all builds of a webhook begin with: with the uid, as clusters may share a Jenkins."""
    return f"{canary.namespace}/{canary.name}/{hook.type.value}/{hook.name}/{canary.metadata.uid}"


def is_of(value: str, owner: str) -> bool:
    """Whether a value is one of those that begin with what `whose` returns, and with nothing longer."""
    return value.rpartition("/")[0] == owner


def moment_of(value: str) -> str:
    """The moment that a build is for, from what its parameter carries."""
    return value.rpartition("/")[2].partition(".")[0]


def body_of(moment: Moment) -> bytes:
    """The parameters of the build, as a form.

    Raises:
        TemplateError: one can't be filled in.
    """
    jenkins = of(moment.gate)
    given = {name: moment.render(value) for name, value in jenkins.parameters.items()}
    return urlencode({**given, jenkins.run_parameter: value_of(moment)}).encode()


def found(value: str, parameter: str, queue: Json, job: Json) -> Found:
    """The build that is known by a value of its parameter, and those of the same webhook that are over.

    Args:
        value: the value.
        parameter: the parameter's name.
        queue: what was told of the queue, before the job was asked.
        job: what was told of the job.
    """
    builds = {_value(each, parameter): each for each in reversed(items(job.get("builds")))}
    waiting = {_value(each, parameter): each for each in items(queue.get("items"))}
    owner = value.rpartition("/")[0]
    others = {known for known in (*builds, *waiting) if is_of(known, owner)} - {value}
    over = ends(others, parameter, queue, job)[:_MOST_ENDED]
    if (build := builds.get(value)) is not None:
        return Found(_of_build(build), over)
    if (item := waiting.get(value)) is not None:
        why = item.get("why") or "it waits"
        return Found(Said(State.WAITING, f"the build is in Jenkins' queue: {why}"), over)
    return Found(None, over)


def ends(values: Collection[str], parameter: str, queue: Json, job: Json) -> tuple[str, ...]:
    """The paths to post to, to end what is known by one of these values and has not ended."""
    waiting = (each for each in items(queue.get("items")) if _value(each, parameter) in values)
    builds = (each for each in items(job.get("builds")) if each.get("building") and _value(each, parameter) in values)
    return (
        *(f"/queue/cancelItem?id={each.get('id')}" for each in waiting),
        *(f"{each.get('url')}stop" for each in builds),
    )


def unstartable(parameter: str, job: Json) -> str:
    """Why no build can be started; empty where one can."""
    known = {
        str(each.get("name")) for part in items(job.get("property")) for each in items(part.get("parameterDefinitions"))
    }
    if parameter not in known:
        return f"the job has no parameter {parameter}, by which a build is found again; add it, as a string"
    return "" if job.get("buildable", True) else "the job is disabled; enable it"


def _of_build(build: Json) -> Said:
    name = f"build #{build.get('number')}"
    where, told = str(build.get("url") or ""), str(build.get("description") or "")
    ended = f"{f': {told}' if told else ''} ({where}console)"
    if build.get("building") or not build.get("result"):
        return Said(State.WAITING, f"{name} to end ({where}console)")
    if build.get("result") == "SUCCESS":
        return Said(State.PASSED, f"{name} has succeeded{ended}")
    return Said(State.FAILED, f"{name} has ended as {build.get('result')}{ended}")


def _value(of_jenkins: Json, parameter: str) -> str:
    """What the parameter carries of a build, or of what waits."""
    named = (each for action in items(of_jenkins.get("actions")) for each in items(action.get("parameters")))
    return next((str(each.get("value")) for each in named if each.get("name") == parameter), "")


def crumb_of(answer: Mapping[str, object], cookie: str) -> tuple[tuple[str, str], ...]:
    """The headers by which a request that starts something is let in without a token."""
    field, crumb = answer.get("crumbRequestField"), answer.get("crumb")
    if not (isinstance(field, str) and isinstance(crumb, str)):
        return ()
    session = cookie.partition(";")[0].strip()
    return ((field, crumb), *((("Cookie", session),) if session else ()))


def problems(field: str, gate: Gate) -> Iterator[Problem]:
    """What can't be of a gate."""
    jenkins = of(gate)
    if not is_web_address(jenkins.url) or "/job/" not in jenkins.url or {*"?#"} & {*jenkins.url}:
        message = f"{jenkins.url!r} is no address of a job"
        yield Problem(f"{field}.url", message, "write one such as https://jenkins.example.com/job/team/job/smoke/")
    if jenkins.secret_ref is not None and not jenkins.secret_ref.name:
        yield Problem(f"{field}.secretRef.name", "is empty", "name the Secret, or take secretRef out")
    if jenkins.run_parameter in jenkins.parameters:
        message = f"{jenkins.run_parameter} carries the moment of the rollout"
        yield Problem(f"{field}.parameters.{jenkins.run_parameter}", message, "take it out, or set runParameter")
    yield from unreadable(f"{field}.parameters", jenkins.parameters)
