"""``headrace demo``: the main job on real input, through the same doors as anybody: REST, search, Kafka."""
