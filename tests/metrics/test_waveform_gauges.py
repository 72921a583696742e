"""The metrics page shows features of fast samples, and a flood of names does not fill it."""

from edge_agent.metrics.exporter import Exporter
from edge_agent.metrics.snapshot import Snapshot
from edge_agent.metrics.waveform_gauges import WaveformGauges
from edge_agent.records import Frame


def test_the_newest_feature_counts_and_other_channels_are_not_shown() -> None:
    gauges = WaveformGauges()
    gauges.take_frames([Frame("fan", ("x.rms", "flow"), (1, 2), ((0.5, 1.0), (0.75, 2.0)))])
    gauges.take_frames([Frame("fan", ("x.rms", "flow"), (3,), ((float("nan"), 2.0),))])
    assert gauges.latest == {("fan", "x.rms"): 0.75}
    exporter = Exporter()
    exporter.snapshot = Snapshot(waveforms=gauges.latest)
    assert b'edge_agent_waveform_feature{feature="x.rms",machine="fan"} 0.75' in exporter.page()


def test_what_is_shown_is_bounded() -> None:
    gauges = WaveformGauges()
    for number in range(300):
        gauges.take_frames([Frame(f"m{number}", ("x.rms",), (1,), ((1.0,),))])
        gauges.take_frames([Frame("m0", (f"c{number}.peak", "x.rms"), (1,), ((1.0, 2.0),))])
    shown = gauges.latest
    assert len({machine for machine, _ in shown}) == 100
    assert sum(machine == "m0" for machine, _ in shown) == 64
    assert shown["m0", "x.rms"] == 2.0
