"""Compiles prompts from recipes, and words re-asks. The stage itself is ``prompt_engine.stage``."""
