"""A shop of your own beside the service: an order and the run that sees to it are written in one transaction."""
