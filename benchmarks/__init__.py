"""What rivulet costs beside the loop that one would write by hand, and beside its peers."""
