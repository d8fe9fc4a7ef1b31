"""What travels on the wire: events, their verdicts, topics and receipts. Pure; imports nothing of ours."""
