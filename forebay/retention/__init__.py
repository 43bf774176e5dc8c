"""What may go: editions beyond their time, and what only they needed."""
