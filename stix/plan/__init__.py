"""Offers and demands to the placement of a pipeline; pure."""
