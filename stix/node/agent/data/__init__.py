"""Programs that move artifacts between a node and a store, without credentials on the node.

The engine signs a URL for each chunk; the order comes on standard input and is never written down.
"""
