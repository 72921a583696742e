"""From patches of a picture to a map of what is unusual in it: two detectors, their reference memory, boxes.

`texture` compares each patch with the most different ones of all learnt pictures (PatchCore), wherever they lay: for
parts that lie anywhere. `place` compares it with the same place of the learnt pictures: for a camera that always sees
the same scene, where dirt that wanders is usual. `regions` makes a score and boxes of a map, `shift` says how far a
camera moved.

Rules: pure. The network runs in `model`; what is learnt from is `pipeline/cameras`' matter. A learnt picture is
compared with the others and never with itself. Axes: N pictures, G cells each way, D numbers of a patch, K remembered
patches.
"""
