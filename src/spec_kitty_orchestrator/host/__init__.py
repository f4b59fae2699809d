"""All that talks to `spec-kitty`: program, client, contract, workspaces.

What to do about an answer is decided in `mission`.
"""
