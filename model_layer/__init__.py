"""The model layer: prompts in, paid answers out. Providers, deployments, prices, routing and scheduling live here."""
