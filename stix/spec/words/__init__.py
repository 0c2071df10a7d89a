"""The small languages inside fields of resources, and the facts they need."""
