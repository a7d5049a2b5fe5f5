"""A pool to look around in: two accounts with their people, miners, hubs, earnings and keys.

Everything is made through the same code that the pages use, is made once, and is brought up to now by each run.
"""
