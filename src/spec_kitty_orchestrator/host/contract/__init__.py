"""The contract as values: envelope, payloads, lanes, policy. No process, no clock, no decision."""
