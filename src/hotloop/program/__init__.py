"""What is to be computed, and nothing else: the layer spec, its initialisation, random numbers. No torch."""

from hotloop.program.network import Activation, Linear, Network

__all__ = ["Activation", "Linear", "Network"]
