"""What bench.py is made of: the machine (rig), the programs it runs (tools), the figures, and how they are shown."""
