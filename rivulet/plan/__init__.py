"""From a graph to the loops that run it: which parts run together, and the code of each part."""
