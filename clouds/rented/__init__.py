"""Rented machines: what all clouds share that sell them by an API. See ``cloud.RentedCloud``."""
