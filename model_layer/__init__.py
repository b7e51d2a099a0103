"""The model layer: routes prompts to providers within slots, leases and budgets, and keeps the ledger."""
