"""Machines shared with other agents at one broker: membership, ownership and hand-over joined. Turned by one thread.

Every member hears every topic; messages of other members' machines are acknowledged in their order and go no further.
A machine that we lose is forgotten, its alarm closed; of one that we gain, the profile is asked of the broker.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from edge_agent.cluster.announcements import Announcements
from edge_agent.cluster.handover import pack, unpack
from edge_agent.cluster.membership import Membership, Terms, decode, encode
from edge_agent.cluster.ownership import Ownership
from edge_agent.config.file import Config
from edge_agent.logs import get_logger
from edge_agent.metrics.snapshot import ShareSeries, Snapshot
from edge_agent.mqtt.connection import BrokerAddress, Connection, Report
from edge_agent.mqtt.inbox import Batch
from edge_agent.mqtt.peer_connection import PeerConnection
from edge_agent.records import Profile, ReceivedMessage
from edge_agent.service.parts import AgentPart
from edge_agent.service.turn import Turn, TurnProcessor
from edge_agent.service.wiring import machine_of

log = get_logger()

_REVIEW_EVERY_S = 1.0
"""How often machines are given up, asked for, and profiles told that could not be told before: one at a time."""
_ASKED_LIMIT = 64
_ASK_S = 10.0
"""How long a retained profile is waited for; the machine's rows are gathered meanwhile."""


class SharingPart(AgentPart):
    """One member of a group; `poll` leaves of a turn's messages what is ours."""

    name = "sharing"

    def __init__(self, config: Config, address: BrokerAddress, *, report: Report) -> None:
        group, name = config.sharing.group, config.agent.name
        self.foreign = 0
        self.handed = 0
        self.refused = 0
        self.own_topic = f"agents/{group}/members/{name}"
        """Where our beats go; also heard among the sensor messages, to know when those that waited are worked off."""
        self._beats = f"agents/{group}/members/"
        self._profiles = f"agents/{group}/profiles/"
        self._limit_bytes = config.sharing.profile_bytes
        self._boot = uuid.uuid4().hex
        self._beaten = 0  # number of the last beat that we sent
        self._members = Membership(
            name, boot=self._boot, terms=Terms(config.sharing.lease_s, config.sharing.settle_s)
        )
        self._ownership = Ownership(name, never=self.own_topic, machine_of=machine_of(config))
        self._asked: dict[str, float] = {}
        self._sought: set[str] = set()  # machines whose profile was asked for, or is known
        self._forgotten: set[str] = set()
        self._announcements = Announcements(limit_bytes=self._limit_bytes)
        self._session = 0
        self._reviewed_s = 0.0
        self.connection = PeerConnection(
            address,
            client_id=f"{config.client_id}-sharing",
            beats=f"{self._beats}+",
            payload_limit_bytes=self._limit_bytes,
            report=report,
        )

    @property
    def connections(self) -> Sequence[Connection]:
        """The one that beats go over."""
        return (self.connection,)

    @property
    def filters(self) -> Sequence[str]:
        """Our own beats, behind the sensor messages that came before them."""
        return (self.own_topic,)

    @property
    def active(self) -> bool:
        """Whether we may own machines."""
        return self._members.active

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self.connection.start()

    def stop(self) -> None:
        """Say good-bye; call it when nothing is scored any more."""
        self.connection.leave_group(self.own_topic)

    def adopt(self, config: Config) -> None:
        """Read topics by another configuration."""
        self._ownership.adopt(machine_of(config))

    def add_figures(self, snapshot: Snapshot) -> Snapshot:
        """What metrics say of the group."""
        members = len(self._members.view)
        share = ShareSeries(self.foreign, int(self.active), members, self.handed, self.refused)
        return replace(snapshot, share=share)

    def amiss(self) -> Sequence[str]:
        """Machines are other members' while we are not in."""
        return () if self.active else ("sharing: joins its group, or is out of touch with it",)

    # -- one turn -------------------------------------------------------------------------------------------

    def poll(self, turn: Turn, processor: TurnProcessor) -> None:
        """Leave out the messages of machines that are not ours; all their receipts stay.

        Where sensor messages cannot reach us our beats end, and others take over.
        """
        try:
            self._work(processor, hearing=turn.hearing)
        except Exception as error:  # noqa: BLE001 - the agent goes on, and with our own machines alone
            processor.contain(self.name, error)
        turn.batch = self._ours(turn.batch)
        turn.listening = turn.listening and self.active

    def _work(self, processor: TurnProcessor, *, hearing: bool) -> None:
        now_s = time.monotonic()
        for message in self.connection.drain_messages():
            self._take_message(message, processor, now_s=now_s)
        if (
            self.connection.subscribed
            and self.connection.subscribed == self.connection.session
            and self.connection.connected
        ):
            self._enter(self.connection.subscribed, processor, now_s=now_s)
            beat = self._members.beat(now_s=now_s) if hearing else None
            if beat is not None:
                self._beaten = beat.seq
                self.connection.publish(self.own_topic, encode(beat), retain=True)
        self._tick(now_s)
        if self.active and now_s - self._reviewed_s >= _REVIEW_EVERY_S:
            self._reviewed_s = now_s
            self._review(processor, now_s=now_s)

    def _tick(self, now_s: float) -> None:
        before = (self.active, self._members.view)
        self._members.tick(now_s=now_s)
        view = self._members.view
        if (self.active, view) == before:
            return
        log.info("members_changed", active=self.active, members=sorted(view)[:20], count=len(view))
        self._ownership.divide(view if self.active else frozenset(), now_s=now_s)
        self._reviewed_s = 0.0

    def _ours(self, batch: Batch) -> Batch:
        since_s, own = self._ownership.since_s, self.own_topic
        kept = tuple([a for a in batch.arrivals if a.at_s >= since_s(a.delivery.topic)])
        if len(kept) == len(batch.arrivals):
            return batch
        echoes = [a.delivery.payload for a in batch.arrivals if a.delivery.topic == own]
        for payload in echoes:
            if (beat := decode(payload)) is not None:
                self._members.caught_up(beat)
        kept = tuple([a for a in kept if a.delivery.topic != own]) if echoes else kept
        self.foreign += len(batch.arrivals) - len(kept) - len(echoes)
        return replace(batch, arrivals=kept)

    def _take_message(self, message: ReceivedMessage, processor: TurnProcessor, *, now_s: float) -> None:
        if message.topic.startswith(self._beats):
            member = message.topic.removeprefix(self._beats)
            beat = decode(message.payload)
            if beat is not None:
                self._members.take_beat(member, beat, now_s=now_s)
                if beat.boot == self._boot:
                    self._announcements.note_returned_beat(beat.seq)
            elif not message.payload:
                self._members.left(member)
        elif message.topic.startswith(self._profiles) and message.payload:
            self._take_profile(message.topic.removeprefix(self._profiles), message.payload, processor)

    def _enter(self, session: int, processor: TurnProcessor, *, now_s: float) -> None:
        if session != self._session:
            self._session = session
            self._sought -= self._asked.keys()
            self._asked.clear()
            if self._announcements.note_disconnect():
                log.warning("profiles_not_taken", longer_than_bytes=self._announcements.limit_bytes)
            # A broker may have lost what it kept.
            self._announcements.add(profile.machine for profile in processor.pipeline.profiles())
        self._members.connected(session, now_s=now_s)

    # -- machines that come and go --------------------------------------------------------------------------

    def observe_profile(self, profile: Profile) -> None:
        """Keep a profile at the broker for the machine's next owner; said later where there is no connection."""
        limit_bytes = self._announcements.limit_bytes
        payload = pack(profile, limit_bytes=limit_bytes)
        self._sought.add(profile.machine)
        topic = f"{self._profiles}{profile.machine}"
        if payload is None:
            log.warning("profile_too_long", machine=profile.machine, limit_bytes=limit_bytes)
        elif self._announcements.may_announce and self.connection.publish(topic, payload, retain=True):
            self._announcements.note_sent(profile.machine, n_bytes=len(payload), beat=self._beaten)
        else:
            self._announcements.add([profile.machine])

    def observe_forgotten(self, machine: str) -> None:
        """Take back what is kept at the broker of a machine that a person wants forgotten."""
        self._sought.discard(machine)
        self._forgotten.add(machine)

    def _take_back_forgotten(self) -> None:
        """Empty the retained profiles of machines that were forgotten; tried again where there is no connection."""
        self._forgotten = {
            machine
            for machine in self._forgotten
            if not self.connection.publish(f"{self._profiles}{machine}", b"", retain=True)
        }

    def _review(self, processor: TurnProcessor, *, now_s: float) -> None:
        self._take_back_forgotten()
        machines = processor.pipeline.machines
        for machine in self._ownership.foreign(list(machines)):
            if machines[machine].state != "learning":  # it comes back when it is learnt, and goes then
                processor.release(machine)
                self._sought.discard(machine)
                log.info("machine_given_up", machine=machine)
        for machine in [name for name, asked_s in self._asked.items() if now_s - asked_s >= _ASK_S]:
            self._answered(machine)
        for machine in [name for name, known in machines.items() if known.profile is None]:
            if machine not in self._sought and len(self._asked) < _ASKED_LIMIT:
                self._sought.add(machine)
                self._asked[machine] = now_s
                self.connection.subscribe(f"{self._profiles}{machine}")
        while (waiting := self._announcements.next()) is not None:
            known = machines.get(waiting)
            if known is not None and known.profile is not None:
                self.observe_profile(known.profile)
                break

    def _answered(self, machine: str) -> None:
        self._asked.pop(machine, None)
        self.connection.unsubscribe(f"{self._profiles}{machine}")

    def _take_profile(self, machine: str, payload: bytes, processor: TurnProcessor) -> None:
        """What the broker has kept of a machine that we asked for, and know nothing of."""
        if machine not in self._asked:
            return
        self._answered(machine)
        known = processor.pipeline.machines.get(machine)
        if known is None or known.profile is not None:
            return
        profile = unpack(
            payload, machine=machine, encoder=processor.bundle.encoder, limit_bytes=self._limit_bytes
        )
        if isinstance(profile, str):
            self.refused += 1
            log.warning("profile_refused", machine=machine, reason=profile)
            return
        try:
            processor.take_over(profile)
        except Exception as error:  # noqa: BLE001 - whoever may publish there must not stop the agent
            processor.contain(f"taking over {machine}", error)
            processor.release(machine)
            self.refused += 1
            return
        self.handed += 1
        log.info("machine_taken_over", machine=machine, channels=list(profile.channels))
