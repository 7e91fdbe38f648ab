"""An order is reserved, paid for and shipped, or everything that was done for it is given back."""
