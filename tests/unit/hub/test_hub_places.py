"""What is watched of which members: pure."""

from canary.api.problems import Problem
from canary.fleet.members.base import Member, Unusable
from canary.hub.link import Place
from canary.hub.members import chosen, places, rivals
from canary.kube.access import Access, Hidden, Token
from tests.unit.fleet.fleets import fleet_of

WAY = Access("https://eu.example.com", (Token(Hidden("t")),))
NONE = Unusable("Secret shop/us", Problem("data", "is empty", "fill it in"))


def member(name: str, connection: Access | Unusable = WAY, **labels: str) -> Member:
    return Member(name, labels, "kubeconfig", f"Secret shop/{name}", connection)


MEMBERS = {each.name: each for each in (member("eu", shop="yes"), member("us", NONE, shop="yes"), member("cn"))}
OURS = {"selector": {"matchLabels": {"shop": "yes"}}}


def test_those_that_a_fleet_chooses_are_watched_where_they_can_be() -> None:
    assert [each.name for each in chosen(fleet_of(members=OURS), MEMBERS)] == ["eu", "us"]
    assert places([fleet_of(members=OURS)], MEMBERS) == {Place("eu", "prod"): WAY}


def test_in_the_namespace_of_the_template_and_in_each_once() -> None:
    fleet = fleet_of(members=OURS)
    template = fleet.spec.template
    elsewhere = template.replace(metadata=template.metadata.replace(namespace="web"))
    other = fleet.replace(spec=fleet.spec.replace(template=elsewhere))
    assert places([fleet, fleet, other], MEMBERS).keys() == {Place("eu", "prod"), Place("eu", "web")}


def test_no_fleet_no_watch() -> None:
    assert places([], MEMBERS) == {}


def test_of_two_fleets_with_one_canary_in_a_member_the_older_one_writes_it() -> None:
    old = fleet_of(members=OURS)
    young = old.replace(metadata=old.metadata.replace(name="young"))
    (problem,) = rivals(young, [old, young], MEMBERS)
    assert str(problem) == (
        "spec.template.metadata.name: the Canary prod/shop of eu is written by the older fleet prod/shop; "
        "write another name, or choose other members"
    )
    assert [*rivals(old, [old, young], MEMBERS)] == []
    assert [*rivals(young, [old, young], {"cn": MEMBERS["cn"]})] == []
    assert [*rivals(fleet_of(members=OURS, mode="watch"), [old], MEMBERS)] == []
