"""What a step will take on a machine, from what it has to do and the machine's passport."""
