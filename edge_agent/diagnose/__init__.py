"""Which channels and which fault: attribution, classifier, fault library (ISO 13374: health assessment).

Here lives what explains an alarm in the channel's own unit (`attribution`), what names it by the few alarms that people
have named (`fault_naming` with `classifier` and `extra_trees`), the windows that are kept of an alarm for that
(`alarm_windows`) and the named alarms themselves (`fault_library`). Whether there is an alarm is `detect`'s question,
what people are told `alarms`'s, and where windows and names are kept `store`'s.

Rules: pure; no network is trained. What is not known is called unknown rather than the nearest name. A name once said
is not taken back lightly. Windows are kept as they were measured, so that they outlive what was learnt and the model.
"""
