"""What is kept of alarms has the same bytes as before its classes and fields were renamed."""

import base64

import msgspec

from edge_agent.alarms.state import (
    Acknowledgement,
    AlarmState,
    ClosedAlarm,
    KeptAlarms,
    PastCall,
    Shelving,
    Suppression,
    decode,
    encode,
)
from edge_agent.records import Alarm, ChannelEvidence

WRITTEN = """
h6d2ZXJzaW9uAadyZWNvcmRzgqRtaWxsiKVhbGFybd4AEaJpZLlwdW1wLTEtMjAyMzExMTRUMjIxMzIwWi0xqHJldmlzaW9u
A6dtYWNoaW5lpnB1bXAtMaVzdGF0ZaRvcGVuqHNldmVyaXR5pW1ham9yqG9uc2V0X25zzxeXnP49ftTAp3RpbWVfbnPPF5ed
DC5xWAClc2NvcmXLQAoAAAAAAACqcGVha19zY29yZctAEAAAAAAAAKl0aHJlc2hvbGTLP/gAAAAAAAClZmF1bHSqY2F2aXRh
dGlvbrFmYXVsdF9wcm9iYWJpbGl0ecs/7AAAAAAAAKhjaGFubmVsc5GHpG5hbWWkZmxvd6xjb250cmlidXRpb27LP+gAAAAA
AACob2JzZXJ2ZWTLQCkAAAAAAACqbm9ybWFsX2xvd8tAMAAAAAAAAKtub3JtYWxfaGlnaMtANAAAAAAAAKlkZXZpYXRpb27L
wB4AAAAAAACnc3ltcHRvbaNsb3elbW9kZWyiYWKpY2xvc2VkX25zwKRraW5kp21hY2hpbmWmaGlkZGVukKZhY3RpdmXDpHRv
bGTCpGhlbGTDqGVuZGVkX25zwK9hY2tub3dsZWRnZW1lbnTApXNoZWxmwKtzdXBwcmVzc2lvbsCmcHVtcC0xiKVhbGFybd4A
EaJpZLlwdW1wLTEtMjAyMzExMTRUMjIxMzIwWi0xqHJldmlzaW9uA6dtYWNoaW5lpnB1bXAtMaVzdGF0ZaRvcGVuqHNldmVy
aXR5pW1ham9yqG9uc2V0X25zzxeXnP49ftTAp3RpbWVfbnPPF5edDC5xWAClc2NvcmXLQAoAAAAAAACqcGVha19zY29yZctA
EAAAAAAAAKl0aHJlc2hvbGTLP/gAAAAAAAClZmF1bHSqY2F2aXRhdGlvbrFmYXVsdF9wcm9iYWJpbGl0ecs/7AAAAAAAAKhj
aGFubmVsc5GHpG5hbWWkZmxvd6xjb250cmlidXRpb27LP+gAAAAAAACob2JzZXJ2ZWTLQCkAAAAAAACqbm9ybWFsX2xvd8tA
MAAAAAAAAKtub3JtYWxfaGlnaMtANAAAAAAAAKlkZXZpYXRpb27LwB4AAAAAAACnc3ltcHRvbaNsb3elbW9kZWyiYWKpY2xv
c2VkX25zwKRraW5kp21hY2hpbmWmaGlkZGVukKZhY3RpdmXCpHRvbGTDpGhlbGTCqGVuZGVkX25zB69hY2tub3dsZWRnZW1l
bnSDomJ5o2Jlbqd0aW1lX25zBqdjb21tZW50pHNlZW6lc2hlbGaEomJ5pGFubmGoc2luY2VfbnMFqHVudGlsX25zQadjb21t
ZW50pGJlbHSrc3VwcHJlc3Npb26EomJ5sm1haW50ZW5hbmNlIHdpbmRvd6hzaW5jZV9ucwWodW50aWxfbnPAp2NvbW1lbnSg
p3NoZWx2ZXOBpnB1bXAtMYSiYnmkYW5uYahzaW5jZV9ucwWodW50aWxfbnNBp2NvbW1lbnSkYmVsdKxzdXBwcmVzc2lvbnOC
oSqEomJ5sm1haW50ZW5hbmNlIHdpbmRvd6hzaW5jZV9ucwWodW50aWxfbnPAp2NvbW1lbnSgpG1pbGyEomJ5pGFubmGoc2lu
Y2VfbnMFqHVudGlsX25zQadjb21tZW50pGJlbHSmcmFpc2VkkYKndGltZV9ucwSnbWFjaGluZaZwdW1wLTGqaGVsZF90b3Rh
bAKnaGlzdG9yeZKIomlkoXinbWFjaGluZaVwcmVzc6hzZXZlcml0eahjcml0aWNhbKhvbnNldF9ucwGpY2xvc2VkX25zAqR0
b2xkw69hY2tub3dsZWRnZW1lbnSDomJ5o2Jlbqd0aW1lX25zA6djb21tZW50oKdmaW5kaW5nrWZsb3c6IG1pc3NpbmeIomlk
oXmnbWFjaGluZaVwcmVzc6hzZXZlcml0ead3YXJuaW5nqG9uc2V0X25zAaljbG9zZWRfbnMCpHRvbGTCr2Fja25vd2xlZGdl
bWVudMCnZmluZGluZ6A=
"""
"""By commit dc23620."""
CHANNEL = ChannelEvidence("flow", 0.75, 12.5, 16.0, 20.0, -7.5, "low")
ALARM = Alarm(
    id="pump-1-20231114T221320Z-1",
    revision=3,
    machine="pump-1",
    state="open",
    severity="major",
    onset_ns=1_700_000_000_123_000_000,
    time_ns=1_700_000_060_000_000_000,
    score=3.25,
    peak_score=4.0,
    threshold=1.5,
    fault="cavitation",
    fault_probability=0.875,
    channels=(CHANNEL,),
    model="ab",
)
SHELVING = Shelving("anna", 5, 65, "belt")
SUPPRESSION = Suppression("maintenance window", 5, None)
KEPT = KeptAlarms(
    records={
        "pump-1": AlarmState(
            ALARM,
            active=False,
            told=True,
            held=False,
            ended_ns=7,
            acknowledgement=Acknowledgement("ben", 6, "seen"),
            shelving=SHELVING,
            suppression=SUPPRESSION,
        ),
        "mill": AlarmState(ALARM, held=True),
    },
    shelvings={"pump-1": SHELVING},
    suppressions={"*": SUPPRESSION, "mill": Suppression("anna", 5, 65, "belt")},
    calls=[PastCall(4, "pump-1")],
    held_total=2,
    history=[
        ClosedAlarm("x", "press", "critical", 1, 2, True, Acknowledgement("ben", 3), "flow: missing"),
        ClosedAlarm("y", "press", "warning", 1, 2, False),
    ],
)


def test_what_an_older_agent_wrote_is_taken_over_and_written_as_before() -> None:
    raw = base64.b64decode(WRITTEN)
    assert decode(raw) == KEPT
    written = msgspec.msgpack.decode(encode(KEPT))
    new = {"mode": "", "fault_by": "", "trend": None, "unsettled": False, "reopened": 0, "news": []}
    for record in written["records"].values():  # an older agent passes over what it does not know
        assert {name: record["alarm"].pop(name) for name in new} == new
        assert [channel.pop("detail") for channel in record["alarm"]["channels"]] == [""] * len(
            record["alarm"]["channels"]
        )
        assert (record.pop("called_ns"), record.pop("recalled")) == (None, False)
    assert [past.pop("revision") for past in written["history"]] == [0, 0]
    assert written == msgspec.msgpack.decode(raw)
