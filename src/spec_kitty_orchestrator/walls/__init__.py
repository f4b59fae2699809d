"""Walls around agents: what one may write, read and reach, made true by programs of the system.

A keeper starts the wall, and the wall the agent. What is asked for and cannot be had refuses to start.
"""
