"""The moves of a plan: verbs, rights, states and conditions."""
