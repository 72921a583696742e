"""From windows to scores: detectors, their ensemble, the trigger."""
