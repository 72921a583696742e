"""Two agents share the machines of a real broker; one is killed, its machines go on at the other, learnt already."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_equal, wait_until
from benchmarks.harness.user import User
from edge_agent.cluster.ownership import owner

pytestmark = pytest.mark.broker

LEASE_S, SETTLE_S = 5.0, 0.5
"""A lease that an agent on a machine at load 20 does not miss."""
NAMES = ("hall-1", "hall-2")
MACHINES = [f"pump-{number}" for number in range(4)]


@pytest.fixture
def broker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Broker]:
    more = getattr(request, "param", "")
    broker = Broker(tmp_path, access=f"allow_anonymous true\n{more}")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def agents(tmp_path: Path, tiny_bundle: Path, broker: Broker) -> Iterator[dict[str, Agent]]:
    found = {}
    for name in NAMES:
        (tmp_path / name).mkdir()
        agent = Agent(tmp_path / name, bundle=tiny_bundle, port=broker.port)
        text = agent.config.read_text().replace('name = "hall"', f'name = "{name}"')
        text += f'\n[sharing]\ngroup = "plant"\nlease_s = {LEASE_S}\nsettle_s = {SETTLE_S}\n'
        agent.config.write_text(text)
        found[name] = agent
    yield found
    for agent in found.values():
        agent.kill()


def machines(agent: Agent, state: str = "ready") -> set[str]:
    return {
        name
        for name in MACHINES
        if agent.metric(f'edge_agent_machine_info{{machine="{name}",state="{state}"}}') == 1
    }


def counted(agents: dict[str, Agent]) -> tuple[float, float]:
    """(messages that some agent received, messages that some agent left to another one)"""
    received = sum(agent.metric("edge_agent_messages_received_total") for agent in agents.values())
    foreign = sum(agent.metric("edge_agent_foreign_messages_total") for agent in agents.values())
    return received, foreign


def publish(user: User, first: int, last: int) -> int:
    return sum(user.publish_rows(machine, first, last) for machine in MACHINES)


def each_message_has_one_agent(agents: dict[str, Agent], user: User, first: int, last: int) -> None:
    received, foreign = counted(agents)
    sent = publish(user, first, last)
    wait_until(
        lambda: counted(agents) == (received + sent, foreign + sent), what="each message at exactly one agent"
    )


def share(name: str) -> set[str]:
    return {machine for machine in MACHINES if owner(machine, NAMES) == name}


def both_see(agents: dict[str, Agent], members: int) -> bool:
    return all(agent.metric("edge_agent_share_members") == members for agent in agents.values())


@pytest.mark.slow
def test_a_killed_agents_machines_go_on_at_the_other_and_none_is_scored_by_both(
    agents: dict[str, Agent], broker: Broker
) -> None:
    assert all(share(name) for name in NAMES), "names that leave one without work"
    for agent in agents.values():
        agent.start()
    for agent in agents.values():
        agent.ready()
    wait_until(lambda: both_see(agents, 2), what="both to see each other")
    user = User(broker.port)
    each_message_has_one_agent(agents, user, 0, 301)
    for name, agent in agents.items():
        wait_until(lambda a=agent, n=name: machines(a) == share(n), what="the machines to be learnt")
    each_message_has_one_agent(agents, user, 301, 340)

    first, second = (agents[name] for name in NAMES)
    first.kill()
    killed_s = time.monotonic()
    wait_until(lambda: second.metric("edge_agent_share_members") == 1, what="the other to take over")
    took_s = time.monotonic() - killed_s
    assert took_s > LEASE_S + SETTLE_S - LEASE_S / 3 - 0.5, "nobody may take over from who may still be there"
    each_message_has_one_agent_left(second, user, 340, 440)
    wait_until(lambda: machines(second) == set(MACHINES), what="the machines of the killed one")
    handed = len(share(NAMES[0]))
    wait_equal(lambda: second.metric("edge_agent_profiles_handed_total"), handed, what="the profiles' count")
    each_message_has_one_agent_left(second, user, 440, 540)
    scores = {f'edge_agent_score{{machine="{machine}"}}' for machine in MACHINES}
    wait_until(lambda: scores <= second.series().keys(), what="a score of every machine")

    first.start().ready()
    wait_until(lambda: both_see(agents, 2), what="both to see each other again")
    wait_until(lambda: machines(second) == share(NAMES[1]), what="the machines to be given back")
    assert first.metric("edge_agent_messages_received_total") == 0, "what had waited was the other's to score"
    each_message_has_one_agent(agents, user, 540, 580)
    wait_until(lambda: machines(first) == share(NAMES[0]), what="the machines that went home")
    assert first.stop() == 0
    wait_equal(lambda: second.metric("edge_agent_share_members"), 1, what="a wanted end, told at once")
    user.close()


def each_message_has_one_agent_left(agent: Agent, user: User, first: int, last: int) -> None:
    received = agent.metric("edge_agent_messages_received_total")
    sent = publish(user, first, last)
    wait_until(
        lambda: agent.metric("edge_agent_messages_received_total") == received + sent, what="every message"
    )


def said(agent: Agent, event: str, **facts: str) -> int:
    """How often the agent's log tells of such an event."""
    return sum(line["event"] == event and facts.items() <= line.items() for line in agent.log())


def reload(agent: Agent, *, extra: str) -> None:
    agent.config.write_text(agent.config.read_text() + extra)
    before = agent.metric('edge_agent_reloads_total{result="applied"}')
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: agent.metric('edge_agent_reloads_total{result="applied"}') == before + 1, what="the reload"
    )


def test_a_reload_leaves_members_their_connection_and_their_machines(
    agents: dict[str, Agent], broker: Broker
) -> None:
    for agent in agents.values():
        agent.start()
    for agent in agents.values():
        agent.ready()
    wait_until(lambda: both_see(agents, 2), what="both to see each other")
    user = User(broker.port)
    each_message_has_one_agent(agents, user, 0, 301)
    for name, agent in agents.items():
        wait_until(lambda a=agent, n=name: machines(a) == share(n), what="the machines to be learnt")
    changes = {name: said(agent, "members_changed") for name, agent in agents.items()}
    for number, agent in enumerate(agents.values()):
        reload(agent, extra="\n[budget]\nfalse_alarms_per_week = 2\n")
        each_message_has_one_agent(agents, user, 301 + 40 * number, 341 + 40 * number)
    time.sleep(LEASE_S + SETTLE_S)  # whoever lost its connection would be out by now
    for name, agent in agents.items():
        wait_equal(lambda a=agent: machines(a), share(name), what="the machines where they were")
        assert said(agent, "broker_connected", client="sharing") == 1
        assert said(agent, "broker_lost") == 0
        assert said(agent, "members_changed") == changes[name]
        assert said(agent, "machine_commissioned") == len(share(name))
    user.close()


@pytest.mark.parametrize("broker", ["max_packet_size 2000"], indirect=True)
def test_a_broker_that_hangs_up_on_profiles_loses_no_member_for_long(
    agents: dict[str, Agent], broker: Broker
) -> None:
    agent = agents[NAMES[0]]
    agent.start().ready()
    wait_until(lambda: agent.metric("edge_agent_share_active") == 1, what="the only member")
    user = User(broker.port)
    publish(user, 0, 301)
    wait_until(lambda: said(agent, "profiles_not_taken") == 1, what="the limit to be found")
    wait_until(
        lambda: said(agent, "broker_lost", client="sharing") >= 3, what="three lost connections in the log"
    )
    ended = said(agent, "broker_lost", client="sharing")
    wait_until(lambda: agent.metric("edge_agent_share_active") == 1, what="the member to be back")
    time.sleep(2 * LEASE_S)
    assert said(agent, "broker_lost", client="sharing") == ended
    assert agent.metric("edge_agent_share_active") == 1
    wait_equal(lambda: machines(agent), set(MACHINES), what="all machines")
    user.close()
