"""Where people answer: queues, conversations, teams, what tells them that somebody waits."""
