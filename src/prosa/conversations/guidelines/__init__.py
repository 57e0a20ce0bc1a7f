"""Which rules, specialist and tools a turn gets, and the trial of them before anybody obeys."""
