"""What happened, for people and programs: events, and what shows or stores them. It decides nothing."""
