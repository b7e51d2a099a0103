"""What the five stages share: contracts, the Kafka edge, the runner, ports, settings and errors.

Nothing here imports a stage. Side effects live in ``common.kafka``, ``common.redis`` and ``common.runner``;
everything else is pure.
"""
