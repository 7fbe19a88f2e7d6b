"""Both providers' HTTP APIs over real HTTP, with faults that can be switched on and an exact bill.

A program of its own: it imports nothing from the services and nothing imports it, so that a mistake
in their reading of prices, streams or errors cannot hide behind the same mistake here.
"""
