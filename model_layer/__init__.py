"""The model layer: providers, deployments, prices, routing and scheduling."""
