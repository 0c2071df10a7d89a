"""A pipeline rehearsed in virtual time: the user's file and policy, simulated clouds, no server.

The spec reader, the planner and the decisions of recovery are those of real runs; clouds, machines
and commands are simulated (``stix.clouds.sim``). Pure: the same arguments give the same report.
"""
