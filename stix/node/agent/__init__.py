"""The node agent: runs jobs on a node.  Standard library only, Python 3.8 or newer.

``stix.node.build`` packs this package as ``stix_agent`` into one zipapp, so modules here import
each other relatively and nothing else of STIX.
"""
