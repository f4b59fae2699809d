"""What can be set, what must be true of it, and how it is read. Nothing here acts on a setting."""
