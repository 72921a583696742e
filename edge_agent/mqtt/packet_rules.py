"""What a broker may not send: MQTT 3.1.1 packets, checked where paho does not look. Pure; knows no connection.

Each check answers with what is wrong in a few words, "" where nothing is. Numbers in brackets are those of the
standard's normative statements.
"""

import re
from collections.abc import Sequence

CONNACK, PUBLISH, SUBACK, PINGRESP = 0x20, 0x30, 0x90, 0xD0
_BODY_BYTES = {CONNACK: 2, 0x40: 2, 0xB0: 2, PINGRESP: 0}
"""Packets of one length: CONNACK, PUBACK, UNSUBACK, PINGRESP."""
_QUALITY_2 = frozenset({0x50, 0x60, 0x70})
"""PUBREC, PUBREL, PUBCOMP: the agent neither publishes nor subscribes at QoS 2."""
_OTHER_VERSION = "a CONNACK of another protocol version, such as of a broker that speaks MQTT 5 alone"
_REFUSALS = 5
_CODES = frozenset({0, 1, 2, 0x80})
_PLAIN_TOPIC = re.compile(rb"[^\x00#+\x80-\xff]+")
BAD_TOPICS = frozenset({"a topic that is not UTF-8", "a topic with a wildcard or null", "an empty topic"})
"""Faults that a broker may have let through from another client."""


def publish_violation(head: int, packet: bytearray) -> str:
    """What is wrong with a whole PUBLISH; the only check that every message of a sensor passes through.

    Args:
        head: the packet's first byte.
        packet: what follows the length.
    """
    size = len(packet)
    end = 2 + (packet[0] << 8 | packet[1]) if size >= 2 else size
    if head & 0x06:
        if head & 0x04:  # 3 is reserved [MQTT-3.3.1-4]; 2 is more than we subscribe with [MQTT-3.8.4-6]
            return "a quality of service that was not asked for"
        if size < end + 2:
            return "a PUBLISH that is short"
        if not (packet[end] or packet[end + 1]):
            return "message number 0"  # [MQTT-2.3.1-1]
    elif size < max(end, 2):
        return "a PUBLISH that is short"
    return "" if _PLAIN_TOPIC.fullmatch(packet, 2, end) else _topic_violation(packet[2:end])


def _topic_violation(topic: bytearray) -> str:
    """[MQTT-1.5.3-1], [MQTT-1.5.3-2], [MQTT-3.3.2-2], [MQTT-4.7.3-1]; surrogates are no UTF-8 for Python either."""
    try:
        text = topic.decode("utf-8")
    except UnicodeDecodeError:
        return "a topic that is not UTF-8"
    if not text:
        return "an empty topic"
    return "a topic with a wildcard or null" if {"#", "+", "\0"} & set(text) else ""


def head_violation(head: int, length: int, *, greeted: bool) -> str:
    """What first byte and length alone tell; says so before a body has come that need never come.

    Args:
        head: the packet's first byte.
        length: of the body, in bytes.
        greeted: whether this connection has had its CONNACK.
    """
    kind = head & 0xF0
    if not greeted and kind != CONNACK:
        return "a packet before the CONNACK"  # [MQTT-3.2.0-1]
    if kind == PUBLISH:
        return ""
    if kind in _QUALITY_2:
        return "an answer of quality of service 2"
    if kind != SUBACK and kind not in _BODY_BYTES:
        return "a kind of packet that no broker sends"
    if head & 0x0F:
        return "flags that are reserved"  # [MQTT-2.2.2-2]
    if greeted and kind == CONNACK:
        return "a second CONNACK"
    if length != _BODY_BYTES.get(kind, length):
        return (
            _OTHER_VERSION if kind == CONNACK and length > _BODY_BYTES[kind] else "a body of the wrong length"
        )
    return ""


def answer_violation(head: int, packet: bytearray, *, asked: Sequence[int]) -> str:
    """What is wrong with the body of a packet whose head is right, and that is no PUBLISH.

    Args:
        head: the packet's first byte.
        packet: what follows the length.
        asked: of each SUBSCRIBE that has no answer yet, how many topic filters it named.
    """
    kind = head & 0xF0
    if kind == CONNACK:
        if packet[0] > 1 or packet[1] > _REFUSALS:
            return "a CONNACK with reserved flags or code"
        return "a session that is present and refused" if packet[0] and packet[1] else ""  # [MQTT-3.2.2-4]
    if kind != PINGRESP and not any(packet[:2]):
        return "message number 0"
    if kind != SUBACK:
        return ""
    codes = packet[2:]
    if len(codes) not in asked:
        return "a SUBACK that answers no SUBSCRIBE"  # [MQTT-3.8.4-2], [MQTT-3.8.4-5]
    return "" if _CODES.issuperset(codes) else "a SUBACK with reserved codes"  # [MQTT-3.9.3-2]
