"""Measures the output gate on generated answers with known faults, beside what else there is."""
