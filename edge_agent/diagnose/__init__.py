"""Which channels and which fault: attribution, classifier, fault library."""
