"""Cameras before the pipeline: a frame with a picture goes on as a row of gauges, and what the picture shows is told.

`desk` stands between the decoder and the pipeline and holds all cameras; `camera` is one of them, from the pictures
that it is learnt from to its alarm; `learning` makes what is remembered of a camera; `faults` says when a camera cannot
be believed; `evidence` is what an alarm tells of a picture.

Rules: pure, as the pipeline is. A picture is judged once. One that a camera could not see by is not judged: that is a
finding about a sensor. What was learnt with one network means nothing to another.
"""
