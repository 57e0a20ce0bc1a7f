"""What is done for a customer: the tools' ledger, what waits for a yes, and the proof of who asks."""
