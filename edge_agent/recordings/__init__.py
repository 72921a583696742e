"""Tables on disk, and their replay through the pipeline."""
