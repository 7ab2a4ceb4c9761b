"""Stand-ins for the world outside: a simulated bank for the demo and the tests.

`kedge.testing.bank` tells the story, `kedge.testing.delivery` drops its nights into an inbox.
"""
