"""What can be done with finished runs: compare, reproduce, describe and publish them."""
